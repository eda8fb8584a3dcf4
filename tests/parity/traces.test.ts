// Whole training runs, step by step, against those that TRL 1.13 made: on the committed fixtures, and on real rows
// where there are some; traces.slow.test.ts follows all of the latter.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { dataFolder, fixtures } from '../support/repository.js';
import { followTrace } from '../support/traces.js';

const real = dataFolder ?? 'no-data';
const own = ['dpo-fixed', 'tr-dpo-soft', 'tr-dpo-hard'];

test.each(own.flatMap((name) => (['float32', 'float64'] as const).map((dtype) => [name, dtype] as const)))(
  '%s: every step and the final weights equal TRL, %s',
  (name, dtype) => followTrace(join(fixtures, 'traces', name), join(fixtures, 'models/llama-tiny'), dtype),
);

test.skipIf(!existsSync(real)).each(['tr-dpo-soft', 'tr-kto-hard', 'sft'])(
  '%s: every step and the final weights equal TRL on real rows',
  (name) => followTrace(join(real, 'parity/traces', name), join(real, 'models/stories260K'), 'float32'),
);

const adapters = join(real, 'parity/lora/traces');

test.skipIf(!existsSync(adapters))(
  'lora-tr-dpo-soft-product: every step and the final matrices equal TRL with PEFT',
  () => followTrace(join(adapters, 'lora-tr-dpo-soft-product'), join(real, 'models/stories260K'), 'float32'),
);
