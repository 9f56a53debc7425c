import{create as r,fromBinary as e,toBinary as t}from"@bufbuild/protobuf";function n(n){return{name:n.name,read(r){return e(n,r)},write(e){return t(n,r(n,e))}}}export{n as codec};
//# sourceMappingURL=protobuf.js.map
