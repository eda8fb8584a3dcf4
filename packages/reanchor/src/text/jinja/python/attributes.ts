/**
 * Attributes and elements as templates reach them: `value.name` prefers the attribute, `value['name']` the element.
 * What the sandbox of Jinja hides is undefined here too, and to use it a SecurityError. Source: Jinja's
 * `ImmutableSandboxedEnvironment`.
 */
import { fail } from '../errors.js';
import { formatText } from './format-text.js';
import { unescapeHtml } from './html-entities.js';
import { like, stripTags } from './markup.js';
import { methodOf } from './methods.js';
import { reprOf } from './repr.js';
import { Builtin, signatureOf } from './signature.js';
import { elementAt } from './slices.js';
import { textMethod } from './text-methods.js';
import { Group, Range } from './things.js';
import { Dict, isText, Markup, Thing, type Tuple, textOf, typeName, Undefined, type Value } from './values.js';

/** `value.name`; undefined where it has neither. Errors: UndefinedError for an undefined value. */
export function getAttribute(value: Value, name: string): Value {
  const attribute = attributeOf(value, name);
  if (attribute !== undefined) return attribute;
  const element = elementAt(value, name);
  return element === undefined ? absent(value, name) : element;
}

/** `value[key]`; undefined where it has neither. Errors: UndefinedError for an undefined value. */
export function getItem(value: Value, key: Value): Value {
  const element = elementAt(value, key);
  if (element !== undefined) return element;
  const name = textOf(key);
  const attribute = name === undefined ? undefined : attributeOf(value, name);
  return attribute === undefined ? absent(value, key) : attribute;
}

/** Attributes that every object of Python has, or those of a usual type; all are hidden. */
const internal = new Set(
  [
    'class delattr dir doc eq format ge getattribute getstate gt hash init init_subclass le lt ne new reduce reduce_ex',
    'repr setattr sizeof str subclasshook add contains getitem iter len mul rmul mod rmod getnewargs delitem iadd imul',
    'reversed setitem class_getitem ior or ror bool abs int float neg pos call name qualname self module dict weakref',
    'text_signature next del',
  ]
    .join(' ')
    .split(' ')
    .map((name) => `__${name}__`),
);

/** The attribute of a value, or undefined where its type has none of the name. */
export function attributeOf(value: Value, name: string): Value | undefined {
  if (internal.has(name)) return hidden(value, name);
  if (value instanceof Undefined) return value.refuse();
  if (isText(value)) return textAttribute(value, name);
  if (value instanceof Group && (name === 'grouper' || name === 'list')) return value[name];
  if (value instanceof Thing && !(value instanceof Range)) return value.attribute?.(name);
  const method = methodOf(value, name) ?? (value instanceof Range ? value.attribute(name) : undefined);
  return method === 'hidden' ? hidden(value, name) : method;
}

const hidden = (value: Value, name: string) =>
  new Undefined(`access to attribute '${name}' of '${typeName(value)}' object is unsafe.`, 'SecurityError');

/** Source: Jinja's `object_type_repr`. */
function absent(value: Value, key: Value): Undefined {
  const type = value === null ? 'None' : `${typeName(value)} object`;
  const name = textOf(key);
  return new Undefined(
    name === undefined ? `${type} has no element ${reprOf(key)}` : `'${type}' has no attribute ${reprOf(name)}`,
  );
}

function noMapping(value: Value): never {
  if (value instanceof Undefined) return value.refuse();
  return fail('TypeError', `'${typeName(value)}' object has no names`);
}

const anyArguments = signatureOf('* **');
const oneArgument = signatureOf('mapping /');
const noArguments = signatureOf('/');

function textAttribute(value: string | Markup, name: string): Value | undefined {
  const isEscaped = value instanceof Markup;
  const text = isEscaped ? value.text : value;
  const access = { attribute: getAttribute, item: getItem };
  if (name === 'format') {
    return new Builtin(name, anyArguments, (positional, named) => {
      const values = { positional: (positional as Tuple).items, named: (key: string) => (named as Dict).get(key) };
      return like(value, formatText(text, { ...values, ...access }, isEscaped));
    });
  }
  if (name === 'format_map') {
    return new Builtin(name, oneArgument, (mapping) => {
      const named = (key: string) => (mapping instanceof Dict ? mapping.get(key) : noMapping(mapping));
      return like(value, formatText(text, { positional: [], named, ...access }, isEscaped));
    });
  }
  if (isEscaped && name === 'striptags') return new Builtin(name, noArguments, () => stripTags(text));
  if (isEscaped && name === 'unescape') return new Builtin(name, noArguments, () => unescapeHtml(text));
  return textMethod(value, name);
}
