/** The expressions of templates, from the loosest operator to the tightest. Source: Jinja's parser. */
import { fail } from '../errors.js';
import type { BinaryOperator } from '../python/operators.js';
import type { Value } from '../python/values.js';
import { shown, type TokenStream } from './stream.js';
import type { Arguments, Comparison, Expression, FilterExpression, Target } from './tree.js';

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

export class ExpressionParser {
  constructor(protected readonly tokens: TokenStream) {}

  /** An expression; without conditions where an `if` behind it has another meaning. */
  expression(withCondition = true): Expression {
    return this.tokens.nested(() => (withCondition ? this.#conditional() : this.#or()));
  }

  /** One expression, or several with commas, which are a tuple. */
  tuple({ withCondition = true }: { withCondition?: boolean } = {}): Expression {
    return this.#tuple(() => this.expression(withCondition), false);
  }

  #tuple(parse: () => Expression, isParenthesised: boolean): Expression {
    const items: Expression[] = [];
    let isTuple = false;
    for (;;) {
      if (this.#isTupleEnd()) break;
      items.push(parse());
      if (!this.tokens.takeOperator(',')) break;
      isTuple = true;
    }
    if (!isTuple && items.length === 1) return items[0]!;
    if (items.length === 0 && !isParenthesised) {
      this.tokens.fail(`expected an expression, got ${shown(this.tokens.current)}`);
    }
    return { kind: 'tuple', items };
  }

  #isTupleEnd(): boolean {
    const { tokens } = this;
    return tokens.is('print end') || tokens.is('block end') || tokens.isOperator(')');
  }

  /** What is assigned to. Errors: TemplateSyntaxError for what cannot be. */
  target({ withNamespace = false, mayBeEmpty = false }: TargetOptions = {}): Target {
    const items: Target[] = [];
    let isTuple = false;
    for (;;) {
      if (this.#isTupleEnd()) break;
      items.push(this.#singleTarget(withNamespace));
      if (!this.tokens.takeOperator(',')) break;
      isTuple = true;
    }
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

  #conditional(): Expression {
    let { line } = this.tokens;
    let then = this.#or();
    while (this.tokens.takeName('if')) {
      const test = this.#or();
      const otherwise = this.tokens.takeName('else') ? this.tokens.nested(() => this.#conditional()) : undefined;
      then = { kind: 'conditional', test, then, line, ...(otherwise && { otherwise }) };
      line = this.tokens.line;
    }
    return then;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.tokens.takeName('or')) left = { kind: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.tokens.takeName('and')) left = { kind: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    if (!this.tokens.takeName('not')) return this.#compare();
    return { kind: 'unary', operator: 'not', operand: this.tokens.nested(() => this.#not()) };
  }

  #compare(): Expression {
    const first = this.#sum();
    const rest: { operator: Comparison; operand: Expression }[] = [];
    for (let operator = this.#comparison(); operator !== undefined; operator = this.#comparison()) {
      rest.push({ operator, operand: this.#sum() });
    }
    return rest.length === 0 ? first : { kind: 'compare', first, rest };
  }

  #comparison(): Comparison | undefined {
    const { tokens } = this;
    for (const operator of ['==', '!=', '<=', '>=', '<', '>'] as const)
      if (tokens.takeOperator(operator)) return operator;
    if (tokens.takeName('in')) return 'in';
    if (!tokens.isName('not') || tokens.following.type !== 'name' || tokens.following.text !== 'in') return undefined;
    tokens.next();
    tokens.next();
    return 'not in';
  }

  /** Operators of one strength, the left ones first. */
  #binary(operators: readonly BinaryOperator[], parse: () => Expression): Expression {
    let left = parse();
    for (;;) {
      const operator = operators.find((text) => this.tokens.takeOperator(text));
      if (operator === undefined) return left;
      left = { kind: 'binary', operator, left, right: parse() };
    }
  }

  #sum(): Expression {
    return this.#binary(['+', '-'], () => this.#concat());
  }

  #concat(): Expression {
    const parts = [this.#product()];
    while (this.tokens.takeOperator('~')) parts.push(this.#product());
    return parts.length === 1 ? parts[0]! : { kind: 'concat', parts };
  }

  #product(): Expression {
    return this.#binary(['*', '/', '//', '%'], () => this.#power());
  }

  /** Other than in Python, powers too go from the left, and signs are tighter. */
  #power(): Expression {
    return this.#binary(['**'], () => this.#unary(true));
  }

  #unary(withFilters: boolean): Expression {
    const operator = (['-', '+'] as const).find((sign) => this.tokens.takeOperator(sign));
    const operand = operator === undefined ? this.#primary() : this.tokens.nested(() => this.#unary(false));
    const node = this.#postfix(operator === undefined ? operand : { kind: 'unary', operator, operand });
    return withFilters ? this.#filtersAndTests(node) : node;
  }

  #primary(): Expression {
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

  #postfix(start: Expression): Expression {
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

  #filtersAndTests(start: Expression): Expression {
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
    return { positional: [this.#postfix(this.#primary())], named: [] };
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
