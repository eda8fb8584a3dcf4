/** Jinja with limits on what a template makes; on its time, see `withinTime`. */
import { Interpreter } from '@huggingface/jinja';

/** Elements of a list, and characters of a text. */
const maxElements = 1 << 20;
const maxCharacters = 1 << 24;
/** Elements and 64ths of characters of all values made for one chat, which are memory. */
const maxMade = 1 << 23;
/** Calls, blocks and expressions in each other. */
const maxLevels = 250;
/** Lists and objects in each other: what prints or compares them goes into itself. */
const maxDepth = 64;

interface Statement {
  type: string;
}
interface Value {
  value: unknown;
}

/** What is used of the library, whose own declarations do not resolve under Node's module rules. */
interface Library {
  evaluate(statement: Statement | undefined, environment: unknown): Value;
  run(program: unknown): Value;
}
const Base = Interpreter as unknown as new (environment: unknown) => Library;

/** An interpreter that ends templates which make values, or call themselves, without bound. */
export class BoundedInterpreter extends Base {
  #made = 0;
  #level = 0;

  /** Errors: Error for a value or a recursion beyond the limits; those of the template. */
  override evaluate(statement: Statement | undefined, environment: unknown): Value {
    if (this.#level >= maxLevels) throw new Error('it goes into itself without end');
    this.#level++;
    try {
      const made = super.evaluate(statement, environment);
      this.#count(made.value);
      if (isLiteral(statement)) requireShallow(made);
      const changed = changedObject(statement);
      if (changed) requireShallow(super.evaluate(changed, environment));
      return made;
    } finally {
      this.#level--;
    }
  }

  #count(value: unknown): void {
    const isText = typeof value === 'string';
    if (!isText && !Array.isArray(value)) return;
    this.#made += isText ? value.length / 64 : value.length;
    const isTooLarge = value.length > (isText ? maxCharacters : maxElements);
    if (isTooLarge || this.#made > maxMade) throw new Error('its texts and lists grow without bound');
  }
}

/** Values are put into values by these alone, */
const isLiteral = (statement: Statement | undefined) =>
  ['ArrayLiteral', 'TupleLiteral', 'ObjectLiteral'].includes(statement?.type ?? '');

/** and by an assignment to a member of a namespace: this is the namespace. */
function changedObject(statement: Statement | undefined): Statement | undefined {
  if (statement?.type !== 'Set') return undefined;
  const { assignee } = statement as Statement & { assignee: Statement & { object?: Statement } };
  return assignee.type === 'MemberExpression' ? assignee.object : undefined;
}

/** Errors: Error for a value that is too deep, or that lies in itself. */
function requireShallow(value: Value, depth = 0): void {
  if (depth > maxDepth) throw new Error('its lists and objects lie in each other too deep');
  const inner: unknown = value.value;
  const values = Array.isArray(inner) ? inner : inner instanceof Map ? inner.values() : [];
  for (const one of values as Iterable<Value>) requireShallow(one, depth + 1);
}
