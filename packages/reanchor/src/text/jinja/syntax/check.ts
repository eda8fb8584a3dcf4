/** What Jinja and Python refuse in a template before it runs. */
import { fail, unsupported } from '../errors.js';
import { requireLevels } from '../limits.js';
import { filters, notSupported, tests } from '../registry.js';
import type { Body, Expression, ForStatement, MacroDefinition, Statement } from './tree.js';
import { allNames, namesOf, partsOf, undeclared } from './walk.js';

/** Where something stands. */
interface Context {
  /** Whether in a condition: then a filter without one of its name is an error only when it is used. */
  isConditional: boolean;
  isInLoop: boolean;
}

/** Errors: TemplateAssertionError, SyntaxError; Unsupported. */
export function checkTemplate({ statements }: Body): void {
  check(statements, { isConditional: false, isInLoop: false });
}

function check(statements: readonly Statement[], context: Context): void {
  for (const statement of statements) checkStatement(statement, context);
}

function checkStatement(statement: Statement, context: Context): void {
  const inside = { ...context, isConditional: false };
  switch (statement.kind) {
    case 'print':
    case 'set':
      checkExpression(statement.value, context);
      break;
    case 'if': {
      const branch = { ...context, isConditional: true };
      for (const { test, body } of statement.branches) {
        checkExpression(test, branch);
        check(body, branch);
      }
      check(statement.otherwise, branch);
      break;
    }
    case 'for':
      checkFor(statement, context);
      break;
    case 'setBlock':
    case 'filterBlock':
      if (statement.filter) checkExpression(statement.filter, inside);
      check(statement.body.statements, inside);
      break;
    case 'with':
      for (const value of statement.values) checkExpression(value, context);
      check(statement.body.statements, inside);
      break;
    case 'callBlock':
      if (statement.call) checkExpression(statement.call, context);
      checkMacro(statement.macro);
      break;
    case 'macro':
      checkMacro(statement.macro);
      break;
    case 'break':
    case 'continue':
      if (!context.isInLoop) fail('SyntaxError', `'${statement.kind}' outside loop (line ${statement.line})`);
  }
}

function checkFor(loop: ForStatement, context: Context): void {
  const names = [...namesOf(loop.target), ...allNames(loop.body.statements), ...allNames(loop.otherwise.statements)];
  if (names.some(({ name, as }) => name === 'loop' && as === 'store')) {
    fail('TemplateAssertionError', `Can't assign to special loop variable in for-loop target (line ${loop.line})`);
  }
  checkExpression(loop.values, context);
  const inside = { isConditional: false, isInLoop: true };
  if (loop.test) checkExpression(loop.test, inside);
  check(loop.body.statements, inside);
  // A recursive loop is a function, which no loop around is left from.
  check(loop.otherwise.statements, { isConditional: false, isInLoop: context.isInLoop && !loop.isRecursive });
}

function checkMacro({ parameters, defaults, body, line }: MacroDefinition): void {
  const twice = parameters.find((name, i) => parameters.indexOf(name) !== i);
  if (twice) fail('SyntaxError', `duplicate argument '${twice}' in a macro (line ${line})`);
  const callerPlace = parameters.indexOf('caller');
  const hasDefault = callerPlace >= parameters.length - defaults.length;
  if (callerPlace !== -1 && !hasDefault && undeclared(body.statements, ['caller']).size > 0) {
    const rule = 'the special "caller" argument must be omitted or be given a default';
    fail('TemplateAssertionError', `When defining macros or call blocks ${rule} (line ${line})`);
  }
  const inside = { isConditional: false, isInLoop: false };
  for (const value of defaults) checkExpression(value, inside);
  check(body.statements, inside);
}

function checkExpression(expression: Expression, context: Context, level = 0): void {
  requireLevels(level);
  const inside = expression.kind === 'conditional' ? { ...context, isConditional: true } : context;
  for (const part of partsOf(expression)) checkExpression(part, inside, level + 1);
  if (expression.kind !== 'filter' && expression.kind !== 'test') return;
  const { kind, name, line } = expression;
  if (context.isConditional || (kind === 'filter' ? filters : tests).has(name)) return;
  if (kind === 'filter' && notSupported.has(name)) unsupported(`the filter ${name} (line ${line})`);
  fail('TemplateAssertionError', `No ${kind} named '${name}'. (line ${line})`);
}
