/** What a row gives its chat template besides messages. */
import { parseExactJson } from '../formats/exact-json.js';
import { reservedVariables, type TemplateInput } from '../text/chat-template.js';
import type { Fields } from './fields.js';
import type { PromptText } from './row.js';
import { isRecord } from './values.js';

/**
 * The tools, documents and variables (`chat_template_kwargs`) of a row, as TRL 1.13 hands them to the template. `tools`
 * may be JSON text, as there; null and '' are none. Undefined where a row has none of them. Errors: those of
 * {@link Fields}.
 */
export function templateInput(fields: Fields): TemplateInput | undefined {
  const { tools = listOf(fields, 'tools'), documents = listOf(fields, 'documents'), ...others } = variablesOf(fields);
  const input: TemplateInput = {
    ...(Array.isArray(tools) && { tools }),
    ...(Array.isArray(documents) && { documents }),
    ...(Object.keys(others).length > 0 && { variables: others }),
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

function listOf(fields: Fields, name: string): readonly unknown[] | undefined {
  if (!fields.has(name)) return undefined;
  if (fields.isText(name) && fields.text(name).trim() === '') return undefined;
  const list = fields.isText(name) ? parsed(fields.text(name)) : fields.value(name);
  if (list === null) return undefined;
  if (!Array.isArray(list) || !list.every(isRecord)) {
    throw fields.fault(name, 'is no list of objects, nor such a list as JSON text');
  }
  return list;
}

function parsed(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    return undefined;
  }
}

/** What may stand among the variables as well as in a column. */
const ownColumns = ['tools', 'documents'];

function variablesOf(fields: Fields): Readonly<Record<string, unknown>> {
  const name = 'chat_template_kwargs';
  if (!fields.has(name)) return {};
  const given = fields.isText(name) ? parsed(fields.text(name)) : fields.value(name);
  if (!isRecord(given)) throw fields.fault(name, 'is no object, nor one as JSON text');
  const taken = Object.keys(given).find((one) => reservedVariables.includes(one) && !ownColumns.includes(one));
  if (taken !== undefined) throw fields.fault(name, `has ${taken}, which is not for a row to say`);
  return given;
}
