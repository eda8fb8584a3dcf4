// All runs on real pairs: in float32, and in float64, where nothing but the formulas is left to differ.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { dataFolder } from '../support/repository.js';
import { followTrace } from '../support/traces.js';

const real = dataFolder ?? 'no-data';

const methods = ['dpo-fixed', 'tr-dpo-soft', 'tr-dpo-hard', 'tr-ipo-soft', 'tr-kto-hard', 'sft'];
const cases = methods.flatMap((name) => (['float32', 'float64'] as const).map((dtype) => [name, dtype] as const));

test.skipIf(!existsSync(real)).each(cases)('%s: every step and the final weights equal TRL, %s', (name, dtype) =>
  followTrace(join(real, 'parity/traces', name), join(real, 'models/stories260K'), dtype),
);

const adapters = join(real, 'parity/lora/traces');
const runs = existsSync(adapters) ? readdirSync(adapters).filter((name) => !name.startsWith('start-')) : [];

test.skipIf(runs.length === 0).each(runs.length > 0 ? runs : ['an adapter'])(
  '%s: every step and the final matrices equal TRL with PEFT',
  (name) => followTrace(join(adapters, name), join(real, 'models/stories260K'), 'float32'),
);
