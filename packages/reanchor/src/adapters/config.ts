/** adapter_config.json, as PEFT 0.21 and older versions write it. */
import { join } from 'node:path';
import { FormatError, UserError, unreadable } from '../errors.js';
import { exactJsonOf, isRecord, readFile } from '../formats/index.js';
import { alphas, ConfigFields, isAlpha, isRank, ranks } from './config-fields.js';
import { configName } from './names.js';
import { refuseUnreadable } from './refused-keys.js';

/** The bytes that are read at most, and levels; a network of 10,000 modules takes a quarter of it. */
const mostBytes = 4 * 2 ** 20;
const mostLevels = 64;

/** What an adapter_config.json says, checked. */
export interface AdapterConfig {
  r: number;
  alpha: number;
  rslora: boolean;
  dora: boolean;
  dropout: number;
  /** Which biases of the base were trained: none, those of all modules, or those of adapted modules. */
  bias: 'none' | 'all' | 'lora_only';
  /** Whether B has a bias. */
  loraBias: boolean;
  /** Modules by name or suffix; a text is a regular expression of Python, which is never run. */
  targets: string | string[];
  /** Modules that `targets` names and that are not adapted. */
  excluded: string | string[];
  /** The layers that `targets` stands for, and what comes before their number; all where it is undefined. */
  layers: number[] | undefined;
  layersPattern: string | string[];
  /** Ranks and alphas of modules by regular expressions of Python. */
  rankPattern: ReadonlyMap<string, number>;
  alphaPattern: ReadonlyMap<string, number>;
  /** Modules that were trained whole, by the end of their path. */
  modulesToSave: string[];
  /** Whether what is trained of a tied embedding is trained of the head too, and the other way round. */
  keepsTie: boolean;
  /** The name or folder of the base. */
  base: string | undefined;
  /** All of it as it was read, with keys that nobody here knows. */
  json: Readonly<Record<string, unknown>>;
}

/**
 * What the value of an adapter_config.json says. Unknown keys are taken, as each version of PEFT adds some, and missing
 * ones have the defaults of PEFT. Errors: FormatError, which names the key, for what is not read.
 */
export function parseAdapterConfig(json: unknown, file: string): AdapterConfig {
  if (!isRecord(json)) throw new FormatError('not a JSON object', { file });
  refuseExtremes(json, file);
  refuseUnreadable(json, file);
  const fields = new ConfigFields(json, file);
  const config: AdapterConfig = {
    r: fields.rank('r', 8),
    alpha: fields.alpha('lora_alpha', 8),
    rslora: fields.flag('use_rslora'),
    dora: fields.flag('use_dora'),
    dropout: fields.probability('lora_dropout'),
    bias: fields.oneOf('bias', ['none', 'all', 'lora_only']),
    loraBias: fields.flag('lora_bias'),
    targets: fields.textOrTexts('target_modules'),
    excluded: fields.textOrTexts('exclude_modules'),
    layers: fields.counts('layers_to_transform'),
    layersPattern: fields.textOrTexts('layers_pattern'),
    rankPattern: fields.pattern('rank_pattern', isRank, ranks),
    alphaPattern: fields.pattern('alpha_pattern', isAlpha, alphas),
    modulesToSave: fields.texts('modules_to_save'),
    keepsTie: fields.flag('ensure_weight_tying'),
    base: fields.text('base_model_name_or_path'),
    json,
  };
  if (config.dora && config.loraBias)
    throw new FormatError('is true beside use_dora, which PEFT has no meaning for: one of the two may be true', {
      file,
      where: 'lora_bias',
    });
  return config;
}

/** The config of an adapter's folder. Errors: UserError, FormatError. */
export async function readAdapterConfig(folder: string): Promise<AdapterConfig> {
  const file = join(folder, configName);
  let text: string;
  try {
    text = await readFile(file, 'utf8', mostBytes);
  } catch (cause) {
    throw new UserError(
      `${unreadable(file, cause)}: an adapter is a folder of PEFT, with ${configName} and adapter_model.safetensors; ` +
        'of several adapters each is in a folder of its own name',
      { cause },
    );
  }
  const json = exactJsonOf(text);
  if (json === undefined) throw new FormatError('not JSON: fetch the folder again', { file });
  return parseAdapterConfig(json, file);
}

/** What could not be written again: numbers that no number type holds, such as 1e400, and too many levels. */
function refuseExtremes(json: object, file: string): void {
  let level: [string, unknown][] = Object.entries(json);
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > mostLevels) throw new FormatError(`has more than ${mostLevels} levels of lists and objects`, { file });
    const infinite = level.find(([, value]) => isInfinite(value));
    if (infinite)
      throw new FormatError('is too large for a number: a finite one is needed', { file, where: infinite[0] });
    level = level.flatMap(([key, value]) =>
      typeof value === 'object' && value !== null
        ? Object.values(value).map((one): [string, unknown] => [key, one])
        : [],
    );
  }
}

const isInfinite = (value: unknown) => typeof value === 'number' && !Number.isFinite(value);
