// The least that relays on Node.js: node rivals.cjs ws|socket.io|peer FOLDER; says its port.
// FOLDER has node_modules.
const { createRequire } = require("node:module");
const { createServer } = require("node:http");
const [system, folder] = process.argv.slice(2);
const load = createRequire(`${folder}/`);
const NAME_BYTES = 8;

const say = (port) => console.log(JSON.stringify({ port }));

function ws() {
  const here = new Map();
  const server = new (load("ws").WebSocketServer)({ host: "127.0.0.1", port: 0 });
  server.on("listening", () => say(server.address().port));
  server.on("connection", (socket, request) => {
    const own = Buffer.from(request.url.slice("/ws/".length).padEnd(NAME_BYTES));
    here.set(own.toString("latin1"), socket);
    socket.on("message", (data) => {
      const target = here.get(data.toString("latin1", 0, NAME_BYTES));
      if (target) target.send(Buffer.concat([own, data.subarray(NAME_BYTES)]));
    });
  });
}

function socketIo() {
  const here = new Map();
  const http = createServer();
  const server = new (load("socket.io").Server)(http, { transports: ["websocket"] });
  server.on("connection", (socket) => {
    const own = socket.handshake.query.name;
    here.set(own, socket);
    socket.on("relay", (to, data) => here.get(to)?.emit("relayed", own, data));
  });
  http.listen(0, "127.0.0.1", () => say(http.address().port));
}

function peer() {
  load("peer").PeerServer({ host: "127.0.0.1", port: 0, path: "/" }, (server) =>
    say(server.address().port),
  );
}

({ ws, "socket.io": socketIo, peer })[system]();
