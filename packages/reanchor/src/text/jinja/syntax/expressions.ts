/** The operators of expressions, from the loosest to the tightest. Source: Jinja's parser. */
import type { BinaryOperator } from '../python/operators.js';
import { OperandParser } from './operands.js';
import type { Comparison, Expression } from './tree.js';

export class ExpressionParser extends OperandParser {
  /** An expression; without conditions where an `if` behind it has another meaning. */
  override expression(withCondition = true): Expression {
    return this.tokens.nested(() => (withCondition ? this.#conditional() : this.#or()));
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
    const operand = operator === undefined ? this.primary() : this.tokens.nested(() => this.#unary(false));
    const node = this.postfix(operator === undefined ? operand : { kind: 'unary', operator, operand });
    return withFilters ? this.filtersAndTests(node) : node;
  }
}
