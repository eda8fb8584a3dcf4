/** A template as a tree. */
import type { MacroShape } from '../macro.js';
import type { Order } from '../python/compare.js';
import type { BinaryOperator } from '../python/operators.js';
import type { Value } from '../python/values.js';

export type Comparison = Order | '==' | '!=' | 'in' | 'not in';

/** The arguments of a call, in the order in which they are computed. */
export interface Arguments {
  positional: readonly Expression[];
  named: readonly (readonly [name: string, value: Expression])[];
  /** `*values` and `**values`. */
  rest?: Expression;
  namedRest?: Expression;
}

/** A call of a filter or test by its name. */
interface Applied {
  name: string;
  arguments: Arguments;
  line: number;
}

export interface FilterExpression extends Applied {
  kind: 'filter';
  /** Left out for the first filter of a block, which takes what the block writes. */
  input?: Expression;
}

export interface TestExpression extends Applied {
  kind: 'test';
  input: Expression;
}

interface CallExpression {
  kind: 'call';
  callee: Expression;
  arguments: Arguments;
}

interface NameExpression {
  kind: 'name';
  name: string;
}

export type Expression =
  | { kind: 'constant'; value: Value }
  | NameExpression
  | { kind: 'list' | 'tuple'; items: readonly Expression[] }
  | { kind: 'dict'; pairs: readonly (readonly [key: Expression, value: Expression])[] }
  | { kind: 'attribute'; object: Expression; name: string }
  | { kind: 'item'; object: Expression; key: Expression }
  | { kind: 'slice'; object: Expression; bounds: readonly (Expression | undefined)[] }
  | { kind: 'unary'; operator: '-' | '+' | 'not'; operand: Expression }
  | { kind: 'binary'; operator: BinaryOperator; left: Expression; right: Expression }
  | { kind: 'and' | 'or'; left: Expression; right: Expression }
  | { kind: 'concat'; parts: readonly Expression[] }
  | { kind: 'compare'; first: Expression; rest: readonly { operator: Comparison; operand: Expression }[] }
  | { kind: 'conditional'; test: Expression; then: Expression; otherwise?: Expression; line: number }
  | FilterExpression
  | TestExpression
  | CallExpression;

/** What may be assigned to: a name, an attribute of a namespace, or several. */
export type Target =
  | NameExpression
  | { kind: 'member'; namespace: string; name: string }
  | { kind: 'targets'; items: readonly Target[] };

/** Statements with variables of their own. What scopes.ts finds out is filled in once all of a template is read. */
export interface Body {
  statements: readonly Statement[];
  /** Names that are undefined until the body sets them, whatever is outside. */
  hidden: readonly string[];
}

export interface IfStatement {
  kind: 'if';
  branches: readonly { test: Expression; body: readonly Statement[] }[];
  otherwise: readonly Statement[];
}

export interface ForStatement {
  kind: 'for';
  target: Target;
  values: Expression;
  /** Which of the values take part. */
  test?: Expression;
  isRecursive: boolean;
  /** Whether the body asks for its variable `loop`. */
  usesLoop: boolean;
  body: Body;
  otherwise: Body;
  line: number;
}

export interface MacroDefinition extends MacroShape {
  /** The defaults of the last parameters. */
  defaults: readonly Expression[];
  body: Body;
  line: number;
}

interface MacroStatement {
  kind: 'macro';
  name: string;
  macro: MacroDefinition;
}

/** `{% call %}`; and `{% generation %}`, which calls nothing but its own body. */
export interface CallStatement {
  kind: 'callBlock';
  call?: CallExpression;
  macro: MacroDefinition;
}

export type Statement =
  | { kind: 'text'; text: string }
  | { kind: 'print'; value: Expression }
  | IfStatement
  | ForStatement
  | { kind: 'set'; target: Target; value: Expression }
  | { kind: 'setBlock'; target: Target; filter?: FilterExpression; body: Body }
  | { kind: 'with'; targets: readonly Target[]; values: readonly Expression[]; body: Body }
  | { kind: 'filterBlock'; filter: FilterExpression; body: Body }
  | MacroStatement
  | CallStatement
  | { kind: 'break' | 'continue'; line: number };
