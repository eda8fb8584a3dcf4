import { FormatError } from '../errors.js';
import { meant } from './module-lists.js';
import { factorName, partOf, prefix } from './names.js';
import type { Reading } from './reading.js';
import { wantedModules } from './wanted-modules.js';

/**
 * The modules that have factors in the file, compared with those of the config where that names them. Errors:
 * FormatError for a module that the base does not have, and for one that is in the file or the config alone.
 */
export function adaptedModules(reading: Reading): Set<string> {
  const found = modulesInFile(reading);
  const { config, stored, names, configFile } = reading;
  const wanted = wantedModules(reading);
  if (wanted === undefined) return found;
  if (config.keepsTie && (wanted.has(names.embedding) || wanted.has(names.head))) {
    for (const module of [names.embedding, names.head]) if (found.has(module)) wanted.add(module);
  }
  const missing = [...wanted].filter((module) => !found.has(module));
  if (missing.length > 0) {
    const others = missing.length === 1 ? '' : `, and those of ${missing.length - 1} other modules`;
    const role = missing[0] === names.embedding ? 'embeddingA' : 'a';
    stored.fail(
      factorName(missing[0]!, role),
      `is missing${others}: target_modules of ${configFile} means it. Fetch the adapter again, or save it again`,
    );
  }
  const unwanted = [...found].find((module) => !wanted.has(module));
  if (unwanted !== undefined) {
    throw new FormatError(
      `does not mean ${unwanted}, of which ${stored.file} has factors: the files do not belong together`,
      { file: configFile, where: 'target_modules' },
    );
  }
  return found;
}

function modulesInFile({ network, stored, names }: Reading): Set<string> {
  const found = new Set<string>();
  const known = () => [...network.linear.keys(), names.embedding, names.head];
  for (const name of stored.tensors.keys()) {
    const part = partOf(name);
    if (part === undefined) {
      return stored.fail(
        name,
        `does not begin with ${prefix}, as all names of PEFT do: save the adapter by save_pretrained`,
      );
    }
    if (!('role' in part)) continue;
    const { module } = part;
    if (!network.linear.has(module) && module !== names.embedding && module !== names.head)
      stored.fail(name, `the base has no ${module} that can be adapted${meant(module, known())}`);
    found.add(module);
  }
  if (found.size === 0) {
    const message = "has no factors, such as X.lora_A.weight: PEFT writes them so, without the adapter's own name";
    throw new FormatError(message, { file: stored.file });
  }
  return found;
}
