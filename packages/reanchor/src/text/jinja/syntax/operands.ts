/** What operators of expressions work on, and what may be assigned to. Source: Jinja's parser. */
import { fail } from '../errors.js';
import type { Value } from '../python/values.js';
import { shown, type TokenStream } from './stream.js';
import type { Arguments, Expression, FilterExpression, Target } from './tree.js';

const constants: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);
const noArguments: Arguments = { positional: [], named: [] };

interface TargetOptions {
  withNamespace?: boolean;
  mayBeEmpty?: boolean;
}

export abstract class OperandParser {
  constructor(protected readonly tokens: TokenStream) {}

  /** An expression; without conditions where an `if` behind it has another meaning. */
  abstract expression(withCondition?: boolean): Expression;

  /** One expression, or several with commas, which are a tuple. */
  tuple({ withCondition = true }: { withCondition?: boolean } = {}): Expression {
    return this.#tuple(() => this.expression(withCondition), false);
  }

  #tuple(parse: () => Expression, mayBeEmpty: boolean): Expression {
    const { items, isTuple } = this.#several(parse);
    if (items.length === 0 && !mayBeEmpty) {
      this.tokens.fail(`expected an expression, got ${shown(this.tokens.current)}`);
    }
    return items.length === 1 && !isTuple ? items[0]! : { kind: 'tuple', items };
  }

  /** What stands with commas between, and whether there was one. */
  #several<T>(parse: () => T): { items: T[]; isTuple: boolean } {
    const { tokens } = this;
    const items: T[] = [];
    while (!(tokens.is('print end') || tokens.is('block end') || tokens.isOperator(')'))) {
      items.push(parse());
      if (!tokens.takeOperator(',')) return { items, isTuple: items.length > 1 };
    }
    return { items, isTuple: true };
  }

  /** What is assigned to. Errors: TemplateSyntaxError for what cannot be. */
  target({ withNamespace = false, mayBeEmpty = false }: TargetOptions = {}): Target {
    const { items, isTuple } = this.#several(() => this.#singleTarget(withNamespace));
    if (items.length === 0 && !mayBeEmpty) this.tokens.fail(`expected a name, got ${shown(this.tokens.current)}`);
    return items.length === 1 && !isTuple ? items[0]! : { kind: 'targets', items };
  }

  #singleTarget(withNamespace: boolean): Target {
    if (this.tokens.takeOperator('(')) {
      // Inside of them an attribute of a namespace is none.
      const target = this.tokens.nested(() => this.target({ mayBeEmpty: true }));
      this.tokens.expect('operator', ')');
      return target;
    }
    const line = this.tokens.line;
    if (!this.tokens.is('name')) this.tokens.fail(`can't assign to ${shown(this.tokens.current)}`);
    const name = this.tokens.next().text;
    if (constants.has(name)) this.tokens.fail(`can't assign to '${name}'`, line);
    if (!withNamespace || !this.tokens.takeOperator('.')) return { kind: 'name', name };
    return { kind: 'member', namespace: name, name: this.tokens.expect('name').text };
  }

  /** A name alone that is assigned to. */
  targetName(): string {
    const { line } = this.tokens;
    const { text } = this.tokens.expect('name');
    if (constants.has(text)) this.tokens.fail(`can't assign to '${text}'`, line);
    return text;
  }

  primary(): Expression {
    const { tokens } = this;
    const token = tokens.current;
    if (tokens.take('name')) {
      const constant = constants.get(token.text);
      return constant === undefined ? { kind: 'name', name: token.text } : { kind: 'constant', value: constant };
    }
    if (tokens.is('string')) {
      let value = '';
      while (tokens.is('string')) value += tokens.next().text;
      return { kind: 'constant', value };
    }
    if (tokens.take('constant')) return { kind: 'constant', value: token.value! };
    if (tokens.takeOperator('(')) {
      const inner = this.#tuple(() => this.expression(), true);
      tokens.expect('operator', ')');
      return inner;
    }
    if (tokens.takeOperator('[')) return { kind: 'list', items: this.#listed(']', () => this.expression()) };
    if (tokens.takeOperator('{')) return { kind: 'dict', pairs: this.#listed('}', () => this.#pair()) };
    return tokens.fail(`unexpected ${shown(token)}`);
  }

  #pair(): readonly [Expression, Expression] {
    const key = this.expression();
    this.tokens.expect('operator', ':');
    return [key, this.expression()];
  }

  /** What stands between brackets with commas; one more comma may be at the end. */
  #listed<T>(end: string, parse: () => T): T[] {
    const items: T[] = [];
    while (!this.tokens.isOperator(end)) {
      if (items.length > 0) this.tokens.expect('operator', ',');
      if (this.tokens.isOperator(end)) break;
      items.push(parse());
    }
    this.tokens.next();
    return items;
  }

  postfix(start: Expression): Expression {
    let node = start;
    for (;;) {
      if (this.tokens.takeOperator('.')) node = this.#member(node);
      else if (this.tokens.takeOperator('[')) node = this.#subscript(node);
      else if (this.tokens.isOperator('(')) node = { kind: 'call', callee: node, arguments: this.arguments() };
      else return node;
    }
  }

  #member(object: Expression): Expression {
    const token = this.tokens.next();
    if (token.type === 'name') return { kind: 'attribute', object, name: token.text };
    const isIndex = token.type === 'constant' && (typeof token.value === 'number' || typeof token.value === 'bigint');
    if (!isIndex) this.tokens.fail('expected name or number', token.line);
    return { kind: 'item', object, key: { kind: 'constant', value: token.value! } };
  }

  #subscript(object: Expression): Expression {
    const keys: (Expression | readonly (Expression | undefined)[])[] = [];
    while (!this.tokens.isOperator(']')) {
      if (keys.length > 0) this.tokens.expect('operator', ',');
      keys.push(this.#subscribed());
    }
    this.tokens.next();
    const [first] = keys;
    if (keys.length === 1 && first !== undefined && !('kind' in first)) return { kind: 'slice', object, bounds: first };
    const items = keys.map((key) => ('kind' in key ? key : fail('SyntaxError', 'a slice among several subscripts')));
    return { kind: 'item', object, key: items.length === 1 ? items[0]! : { kind: 'tuple', items } };
  }

  /** A key, or the bounds of a slice. */
  #subscribed(): Expression | readonly (Expression | undefined)[] {
    const isBound = () => ![':', ']', ','].some((mark) => this.tokens.isOperator(mark));
    const first = isBound() ? this.expression() : undefined;
    if (first !== undefined && !this.tokens.isOperator(':')) return first;
    this.tokens.expect('operator', ':');
    const stop = isBound() ? this.expression() : undefined;
    const step = this.tokens.takeOperator(':') && isBound() ? this.expression() : undefined;
    return [first, stop, step];
  }

  filtersAndTests(start: Expression): Expression {
    let node = start;
    for (;;) {
      if (this.tokens.takeOperator('|')) node = this.#filter(node);
      else if (this.tokens.takeName('is')) node = this.#test(node);
      else if (this.tokens.isOperator('(')) node = { kind: 'call', callee: node, arguments: this.arguments() };
      else return node;
    }
  }

  /** A name, of several parts perhaps, and arguments if there are any. */
  #filter(input: Expression | undefined): FilterExpression {
    const { line } = this.tokens;
    const name = this.#dottedName();
    const given = this.tokens.isOperator('(') ? this.arguments() : noArguments;
    return { kind: 'filter', name, arguments: given, line, ...(input && { input }) };
  }

  /** Filters in a row, of what comes in at the first. */
  filters(): FilterExpression {
    let filter = this.#filter(undefined);
    while (this.tokens.takeOperator('|')) filter = this.#filter(filter);
    return filter;
  }

  #dottedName(): string {
    let name = this.tokens.expect('name').text;
    while (this.tokens.takeOperator('.')) name += `.${this.tokens.expect('name').text}`;
    return name;
  }

  #test(input: Expression): Expression {
    const { tokens } = this;
    const { line } = tokens;
    const isNegated = tokens.takeName('not');
    const name = this.#dottedName();
    const given = tokens.isOperator('(') ? this.arguments() : this.#bareArgument();
    const test: Expression = { kind: 'test', input, name, arguments: given, line };
    return isNegated ? { kind: 'unary', operator: 'not', operand: test } : test;
  }

  /** The argument of a test without parentheses: `x is divisibleby 3`. */
  #bareArgument(): Arguments {
    const { tokens } = this;
    const isValue =
      ['name', 'string', 'constant'].includes(tokens.current.type) || tokens.isOperator('[') || tokens.isOperator('{');
    if (!isValue || ['else', 'or', 'and'].some((word) => tokens.isName(word))) return noArguments;
    if (tokens.isName('is')) tokens.fail('You cannot chain multiple tests with is');
    return { positional: [this.postfix(this.primary())], named: [] };
  }

  /** The arguments of a call, in parentheses. */
  arguments(): Arguments {
    const { tokens } = this;
    const { line } = tokens.expect('operator', '(');
    const positional: Expression[] = [];
    const named: (readonly [string, Expression])[] = [];
    let rest: Expression | undefined;
    let namedRest: Expression | undefined;
    const require = (isAllowed: boolean) =>
      isAllowed || tokens.fail('invalid syntax for function call expression', line);
    this.#listed(')', () => {
      if (tokens.takeOperator('*')) {
        require(!rest && !namedRest);
        rest = this.expression();
      } else if (tokens.takeOperator('**')) {
        require(!namedRest);
        namedRest = this.expression();
      } else if (tokens.is('name') && tokens.following.type === 'operator' && tokens.following.text === '=') {
        require(!namedRest);
        const name = tokens.next().text;
        if (named.some(([other]) => other === name)) tokens.fail(`keyword argument repeated: ${name}`, line);
        tokens.next();
        named.push([name, this.expression()]);
      } else {
        require(!rest && !namedRest && named.length === 0);
        positional.push(this.expression());
      }
    });
    return { positional, named, ...(rest && { rest }), ...(namedRest && { namedRest }) };
  }
}
