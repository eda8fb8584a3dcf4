/** What a row gives its chat template besides messages. */
import { exactJsonOf, isRecord } from '../formats/index.js';
import { reservedVariables, type TemplateInput } from '../text/index.js';
import type { Fields } from './fields.js';
import type { PromptText } from './row.js';

/**
 * The tools, documents and variables (`chat_template_kwargs`) of a row, as TRL 1.13 hands them to the template. `tools`
 * may be JSON text, as there; null and '' are none. Undefined where a row has none of them. Errors: those of
 * {@link Fields}.
 */
export function templateInput(fields: Fields): TemplateInput | undefined {
  const given = variablesOf(fields);
  const [tools, documents] = ownColumns.map((name) => listOf(fields, name, given[name]) ?? columnOf(fields, name));
  const others = Object.entries(given).filter(([name]) => !ownColumns.includes(name));
  const input: TemplateInput = {
    ...(tools && { tools }),
    ...(documents && { documents }),
    ...(others.length > 0 && { variables: Object.fromEntries(others) }),
  };
  return Object.keys(input).length > 0 ? input : undefined;
}

/** The text of the column `system`, '' where there is none; a value of another kind is not for the template. */
export const systemOf = (fields: Fields): string => (fields.isText('system') ? fields.text('system') : '');

/** The columns of a row that say a prompt, as {@link templateInput} and {@link systemOf} read them again. */
export function promptColumns({ prompt, system, input }: PromptText) {
  const { tools, documents, variables } = input ?? {};
  return {
    prompt,
    ...(system !== undefined && { system }),
    ...(tools && { tools }),
    ...(documents && { documents }),
    ...(variables && { chat_template_kwargs: variables }),
  };
}

const columnOf = (fields: Fields, name: string) =>
  fields.has(name) ? listOf(fields, name, fields.value(name)) : undefined;

/** A list of objects, or such a list as JSON text; undefined for none. */
function listOf(fields: Fields, name: string, given: unknown): readonly unknown[] | undefined {
  if (given === undefined || given === null || (typeof given === 'string' && given.trim() === '')) return undefined;
  const list = typeof given === 'string' ? exactJsonOf(given) : given;
  if (list === null) return undefined;
  if (!Array.isArray(list) || !list.every(isRecord)) {
    throw fields.fault(name, 'is no list of objects, nor such a list as JSON text');
  }
  return list;
}

/** What may stand among the variables as well as in a column. */
const ownColumns = ['tools', 'documents'];

function variablesOf(fields: Fields): Readonly<Record<string, unknown>> {
  const name = 'chat_template_kwargs';
  const given = fields.has(name) ? fields.value(name) : undefined;
  if (given === undefined || (typeof given === 'string' && given.trim() === '')) return {};
  const variables = typeof given === 'string' ? exactJsonOf(given) : given;
  if (variables === null) return {};
  if (!isRecord(variables)) throw fields.fault(name, 'is no object, nor one as JSON text');
  const taken = Object.keys(variables).find((one) => reservedVariables.includes(one) && !ownColumns.includes(one));
  if (taken !== undefined) throw fields.fault(name, `has ${taken}, which is not for a row to say`);
  return variables;
}
