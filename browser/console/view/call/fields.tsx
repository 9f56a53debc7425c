// A message as places to type into, made of its descriptors.
//
// Names are an actor's: they are texts, and each is kept apart from what is around it (`bdi`), also where
// its letters run the other way.

import { type DescEnum, type DescField, ScalarType } from "@bufbuild/protobuf";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

import { commentsOf } from "../../forms/comments";
import { addEntry, addItem, type Choice, choose, type Entries, type Group, type Leaf, type List, MAX_ITEMS, type Member, set, type Single, type Value } from "../../forms/draft";
import { MAX_FILE_BYTES } from "../../forms/places";
import { bytes } from "../../model/words";
import { base64 } from "./file";

/** Values of an enum that can be chosen; one that has more is typed. */
const MAX_CHOICES = 200;
/** Letters from which a text has several lines to be typed in. */
const LONG = 80;

export interface FieldsProps {
  /** What is wrong, where it is to be said by now. */
  readonly faults: ReadonlyMap<Leaf, string>;
  /** Something has been typed, added, or taken away. */
  changed(): void;
  /** Who typed has gone on to another place. */
  left(leaf: Leaf): void;
}

/** A whole request. */
export function Fields({ value, ...props }: FieldsProps & { value: Value }) {
  if (value.is === "leaf") {
    return <Place {...props} leaf={value} name="value" type={typeOf(value)} />;
  }
  return <Members {...props} group={value} />;
}

function Members({ group, ...props }: FieldsProps & { group: Group }) {
  if (group.members.length === 0) {
    return <p class="muted">Nothing is to be said: the message has no fields.</p>;
  }
  return (
    <div class="fields">
      {group.members.map((member) => (
        <OneMember key={member.id} {...props} member={member} />
      ))}
    </div>
  );
}

function OneMember({ member, ...props }: FieldsProps & { member: Member }) {
  switch (member.is) {
    case "single":
      return <OneSingle {...props} single={member} />;
    case "list":
      return <OneList {...props} list={member} />;
    case "map":
      return <OneMap {...props} map={member} />;
    case "choice":
      return <OneChoice {...props} choice={member} />;
  }
}

function OneSingle({ single, ...props }: FieldsProps & { single: Single }) {
  const { field, isOptional, isSet, value } = single;
  const toggle = isOptional && (
    <label class="set">
      <input
        type="checkbox"
        checked={isSet}
        onChange={(event) => {
          set(single, event.currentTarget.checked);
          props.changed();
        }}
      />
      set<span class="hidden"> {field.name}</span>
    </label>
  );
  if (isSet && value?.is === "leaf") {
    return <Place {...props} leaf={value} name={field.name} type={typeName(field)} hint={commentsOf(field)} beside={toggle} />;
  }
  return (
    <Box name={field.name} type={typeName(field)} hint={commentsOf(field)} beside={toggle}>
      {isSet && value?.is === "group" && <Members {...props} group={value} />}
    </Box>
  );
}

function OneChoice({ choice, ...props }: FieldsProps & { choice: Choice }) {
  const { oneof, options, chosen } = choice;
  const id = `f${choice.id}`;
  return (
    <div class="part">
      <div class="place">
        <label for={id}>
          <bdi>{oneof.name}</bdi> <span class="type">one of {options.length}</span>
        </label>
        <select
          id={id}
          value={chosen?.field.name ?? ""}
          onChange={(event) => {
            choose(choice, event.currentTarget.value);
            props.changed();
          }}
        >
          <option value="">none</option>
          {options.map(({ id, field }) => (
            <option key={id} value={field.name}>
              {field.name}
            </option>
          ))}
        </select>
      </div>
      {chosen?.value?.is === "leaf" && (
        <Place {...props} leaf={chosen.value} name={chosen.field.name} type={typeName(chosen.field)} hint={commentsOf(chosen.field)} />
      )}
      {chosen?.value?.is === "group" && (
        <Box name={chosen.field.name} type={typeName(chosen.field)} hint={commentsOf(chosen.field)}>
          <Members {...props} group={chosen.value} />
        </Box>
      )}
    </div>
  );
}

function OneList({ list, ...props }: FieldsProps & { list: List }) {
  const { field, items } = list;
  return (
    <Box
      name={field.name}
      type={`list of ${typeName(field)}`}
      hint={commentsOf(field)}
      beside={<Add what={field.name} isFull={items.length >= MAX_ITEMS} add={() => addItem(list)} changed={props.changed} />}
    >
      {items.length > 0 && items.map((item, at) => (
        <div class="item" key={item.id}>
          <OneValue {...props} value={item} name={String(at + 1)} type={typeName(field)} of={field.name} />
          <Remove what={`${field.name} ${at + 1}`} from={items} at={at} changed={props.changed} />
        </div>
      ))}
    </Box>
  );
}

function OneMap({ map, ...props }: FieldsProps & { map: Entries }) {
  const { field, entries } = map;
  return (
    <Box
      name={field.name}
      type={`map to ${typeName(field)}`}
      hint={commentsOf(field)}
      beside={<Add what={field.name} isFull={entries.length >= MAX_ITEMS} add={() => addEntry(map)} changed={props.changed} />}
    >
      {entries.length > 0 && entries.map((entry, at) => (
        <div class="item" key={entry.key.id}>
          <div class="entry">
            <Place {...props} leaf={entry.key} name="key" type={typeOf(entry.key)} of={`${field.name} ${at + 1}`} />
            <OneValue {...props} value={entry.value} name="value" type={typeName(field)} of={`${field.name} ${at + 1}`} />
          </div>
          <Remove what={`${field.name} ${at + 1}`} from={entries} at={at} changed={props.changed} />
        </div>
      ))}
    </Box>
  );
}

function OneValue({ value, name, type, of, ...props }: FieldsProps & { value: Value; name: string; type: string; of: string }) {
  if (value.is === "leaf") {
    return <Place {...props} leaf={value} name={name} type={type} of={of} />;
  }
  return (
    <Box name={name} type={type}>
      <Members {...props} group={value} />
    </Box>
  );
}

/** What has a name, something to do beside it, and others within. */
function Box({ name, type, hint = "", beside, children }: { name: string; type: string; hint?: string; beside?: ComponentChildren; children?: ComponentChildren }) {
  const id = useId();
  return (
    <div class="part" role="group" aria-labelledby={id}>
      <div class="place">
        <span class="name" id={id}>
          <bdi>{name}</bdi> <span class="type">{type}</span>
        </span>
        <span class="beside">{beside}</span>
        {hint && <p class="hint">{hint}</p>}
      </div>
      {children && <div class="box">{children}</div>}
    </div>
  );
}

function Add({ what, isFull, add, changed }: { what: string; isFull: boolean; add: () => void; changed: () => void }) {
  if (isFull) {
    return <span class="muted">A form has at most {MAX_ITEMS} of them; JSON takes more.</span>;
  }
  return (
    <button
      type="button"
      class="small"
      onClick={() => {
        add();
        changed();
      }}
    >
      Add<span class="hidden"> to {what}</span>
    </button>
  );
}

function Remove<T>({ what, from, at, changed }: { what: string; from: T[]; at: number; changed: () => void }) {
  return (
    <button
      type="button"
      class="small quiet"
      aria-label={`Remove ${what}`}
      onClick={() => {
        from.splice(at, 1);
        changed();
      }}
    >
      <span aria-hidden="true">×</span>
    </button>
  );
}

interface PlaceProps extends FieldsProps {
  readonly leaf: Leaf;
  readonly name: string;
  readonly type: string;
  /** What it is part of, for who hears the name alone. */
  readonly of?: string;
  readonly hint?: string;
  readonly beside?: ComponentChildren;
}

/** One place, with its name, and with what is wrong. */
function Place({ leaf, name, type, of, hint = "", beside, faults, changed, left }: PlaceProps) {
  const fault = faults.get(leaf);
  const [id, about] = [`f${leaf.id}`, `a${leaf.id}`];
  const common = {
    id,
    "aria-invalid": fault !== undefined,
    "aria-describedby": hint || fault ? about : undefined,
    onBlur: () => left(leaf),
  };
  return (
    <div class={fault === undefined ? "place" : "place wrong"}>
      <label for={id}>
        {of && <span class="hidden">{of} </span>}
        <bdi>{name}</bdi> <span class="type">{type}</span>
      </label>
      {beside}
      <Typed leaf={leaf} name={of ? `${of} ${name}` : name} common={common} changed={changed} />
      {(hint || fault) && (
        <p class="hint" id={about}>
          {fault && <strong class="fault">{fault}</strong>} {hint}
        </p>
      )}
    </div>
  );
}

interface TypedProps {
  readonly leaf: Leaf;
  readonly name: string;
  readonly common: object;
  changed(): void;
}

function Typed({ leaf, name, common, changed }: TypedProps) {
  const { kind } = leaf;
  const take = (text: string) => {
    leaf.text = text;
    changed();
  };
  const onInput = (event: Event) => take((event.currentTarget as HTMLInputElement).value);
  if (kind.is === "enum" && kind.desc.values.length <= MAX_CHOICES) {
    return <Chosen desc={kind.desc} text={leaf.text} common={common} take={take} />;
  }
  if (kind.is === "scalar" && kind.scalar === ScalarType.BOOL) {
    const isTrue = leaf.text === "true";
    return <input {...common} type="checkbox" checked={isTrue} onChange={(event) => take(String(event.currentTarget.checked))} />;
  }
  if (kind.is === "scalar" && kind.scalar === ScalarType.BYTES) {
    return <Bytes leaf={leaf} name={name} common={common} changed={changed} />;
  }
  const isText = kind.is === "json" ? !kind.isText : kind.is === "scalar" && kind.scalar === ScalarType.STRING;
  if (kind.is === "json" && !kind.isText) {
    return <textarea {...common} rows={3} spellcheck={false} class="code" placeholder={kind.hint} value={leaf.text} onInput={onInput} />;
  }
  if (isText && (leaf.text.length > LONG || leaf.text.includes("\n"))) {
    return <textarea {...common} rows={4} value={leaf.text} onInput={onInput} />;
  }
  const isNumber = kind.is === "scalar" && kind.scalar !== ScalarType.STRING;
  return (
    <input
      {...common}
      autocomplete="off"
      spellcheck={false}
      inputMode={isNumber ? "decimal" : "text"}
      placeholder={kind.is === "json" ? kind.hint : isNumber ? "0" : ""}
      value={leaf.text}
      onInput={onInput}
    />
  );
}

function Chosen({ desc, text, common, take }: { desc: DescEnum; text: string; common: object; take: (text: string) => void }) {
  const isKnown = desc.values.some(({ name }) => name === text);
  return (
    <select {...common} value={text} onChange={(event) => take(event.currentTarget.value)}>
      {!isKnown && <option value={text}>{text} (no name)</option>}
      {desc.values.map(({ name, number }) => (
        <option key={name} value={name}>
          {name} = {number}
        </option>
      ))}
    </select>
  );
}

function Bytes({ leaf, name, common, changed }: TypedProps) {
  const choose = async (input: HTMLInputElement) => {
    const [file] = input.files ?? [];
    if (file === undefined) {
      return;
    }
    if (file.size > MAX_FILE_BYTES) {
      input.setCustomValidity(`at most ${bytes(MAX_FILE_BYTES)}`);
      input.reportValidity();
      return;
    }
    input.setCustomValidity("");
    leaf.text = base64(new Uint8Array(await file.arrayBuffer()));
    leaf.file = `${file.name}, ${bytes(file.size)}`;
    changed();
  };
  const clear = () => {
    leaf.text = "";
    delete leaf.file;
    changed();
  };
  if (leaf.file !== undefined) {
    return (
      <span class="of-file">
        <bdi>{leaf.file}</bdi>{" "}
        <button {...common} type="button" class="small" onClick={clear}>
          Take another
        </button>
      </span>
    );
  }
  return (
    <span class="of-file">
      <textarea
        {...common}
        rows={leaf.text.length > LONG ? 4 : 1}
        class="code"
        spellcheck={false}
        placeholder="base64"
        value={leaf.text}
        onInput={(event) => {
          leaf.text = event.currentTarget.value;
          changed();
        }}
      />
      <input type="file" aria-label={`A file for ${name}`} onChange={(event) => void choose(event.currentTarget)} />
    </span>
  );
}

function typeOf({ kind }: Leaf): string {
  return kind.is === "scalar" ? ScalarType[kind.scalar].toLowerCase() : kind.desc.name;
}

/** Of its one value, list item, or map value. */
function typeName(field: DescField): string {
  if (field.scalar !== undefined) {
    return ScalarType[field.scalar].toLowerCase();
  }
  return (field.enum ?? field.message)!.name;
}
