import { FormatError, shown } from '../errors.js';
import { meant, namesOf, withAncestors } from './module-lists.js';
import { moduleOf } from './network.js';
import type { Reading } from './reading.js';

/**
 * The parameters of the base that were trained, by checkpoint name: those of `modules_to_save`, and biases as `bias`
 * says. Errors: FormatError for a name of `modules_to_save` that no module ends with.
 */
export function trainedParameters(reading: Reading, adapted: ReadonlySet<string>): Set<string> {
  const { network, config, names } = reading;
  const saved = savedModules(reading);
  const isSaved = (parameter: string) =>
    saved.size > 0 && withAncestors(moduleOf(names.inFile(parameter))).some((module) => saved.has(module));
  const isTrainedBias = (parameter: string) =>
    parameter.endsWith('.bias') &&
    (config.bias === 'all' || (config.bias === 'lora_only' && adapted.has(moduleOf(parameter))));
  const all = new Set([...network.parameters.keys(), names.headParameter]);
  return new Set([...all].filter((parameter) => isSaved(parameter) || isTrainedBias(parameter)));
}

/** The modules that `modules_to_save` means. PEFT takes all whose path ends so: norm is input_layernorm too. */
function savedModules({ config, names, configFile }: Reading): Set<string> {
  const wanted = new Set(config.modulesToSave);
  if (wanted.size === 0) return new Set();
  const modules = names.modules();
  const used = new Set<string>();
  const isWanted = (path: string) => {
    const ends = Array.from(path, (_, i) => path.slice(i)).filter((end) => wanted.has(end));
    for (const end of ends) used.add(end);
    return ends.length > 0;
  };
  const saved = new Set([...new Set([...modules].flatMap(withAncestors))].filter(isWanted));
  const unknown = [...wanted].find((name) => !used.has(name));
  if (unknown === undefined) return saved;
  const isHead = unknown === moduleOf(names.headParameter);
  const advice = isHead ? `; its head is ${names.head} since transformers 5.` : meant(unknown, namesOf(modules)) || '.';
  throw new FormatError(
    `${shown(unknown)} is no module of the base${advice} PEFT passes over such a name, and trains nothing of it: take it out`,
    { file: configFile, where: 'modules_to_save' },
  );
}
