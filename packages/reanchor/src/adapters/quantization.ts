import { join } from 'node:path';
import { FormatError, shown } from '../errors.js';
import { openSafetensors } from '../formats/index.js';
import { weightsName } from './names.js';

/** How the base under an adapter was quantised, which belongs to the adapter as much as the base itself. */
export type BaseQuantization = 'nf4' | 'nf4-double';

const forms: readonly string[] = ['nf4', 'nf4-double'] satisfies BaseQuantization[];

/** The key in `__metadata__` of adapter_model.safetensors; PEFT has no place for it. */
export const quantizeKey = 'quantize_base';

/** What the file of an adapter says of its base; undefined where it says nothing. Errors: UserError, FormatError. */
export async function baseQuantization(folder: string): Promise<BaseQuantization | undefined> {
  const file = join(folder, weightsName);
  const { metadata } = await openSafetensors(file);
  const form = metadata[quantizeKey];
  if (form === undefined || forms.includes(form)) return form as BaseQuantization | undefined;
  throw new FormatError(`${quantizeKey} is ${shown(form)}; ${forms.join(', ')} are known`, {
    file,
    where: '__metadata__',
  });
}
