/** Linear combinations of scores, such as `afinn - 0.05 * surprise`: numbers, names, +, - and *. Nothing is run. */
import { shown } from '../errors.js';

/** A number, times a score where it has a name. */
export interface Term {
  factor: number;
  name: string | undefined;
}

const tokens = /\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|[-+*]|\S)/g;
const isName = (token: string) => /^[A-Za-z_]/.test(token);
const isNumber = (token: string) => /^[\d.]/.test(token) && Number.isFinite(Number(token));

/** The terms of an expression, in their order; or, as a text, what is wrong with it. */
export function parseExpression(text: string): Term[] | string {
  const given = [...text.matchAll(tokens)].map(([, token]) => token!);
  const terms: Term[] = [];
  for (let at = 0; at < given.length || terms.length === 0; ) {
    const term: Term = { factor: 1, name: undefined };
    if (given[at] === '+' || given[at] === '-') term.factor = given[at++] === '-' ? -1 : 1;
    else if (terms.length > 0) return `${shown(text)}: an operator (+, -, *) is missing before ${given[at]}`;
    do {
      const token = given[at++];
      if (token === undefined) return `${shown(text)}: a number or a name is missing at the end`;
      if (isNumber(token)) term.factor *= Number(token);
      else if (!isName(token)) return `${shown(text)}: a number or a name is missing before ${token}`;
      else if (term.name !== undefined) return `${shown(text)}: a product of two scores is not linear`;
      else term.name = token;
    } while (given[at] === '*' && at++ >= 0);
    terms.push(term);
  }
  return terms;
}

/** The names in an expression, or what is wrong with it. */
export function expressionNames(text: string): string[] | string {
  const terms = parseExpression(text);
  if (typeof terms === 'string') return terms;
  return [...new Set(terms.flatMap(({ name }) => (name === undefined ? [] : [name])))];
}

/** The value of an expression, added up from its first term to its last. */
export function evaluate(terms: readonly Term[], scoreOf: (name: string) => number): number {
  return terms.reduce((sum, { factor, name }) => sum + (name === undefined ? factor : factor * scoreOf(name)), 0);
}
