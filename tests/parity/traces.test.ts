// Whole training runs, step by step, against those that TRL 1.13 made: on the committed fixtures, and on real pairs
// where there are some.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { dataFolder, fixtures } from '../support/repository.js';
import { followTrace } from '../support/traces.js';

const real = dataFolder ?? 'no-data';

describe.each(['dpo-fixed', 'tr-dpo-soft', 'tr-dpo-hard'])('%s', (name) => {
  test.each(['float32', 'float64'] as const)('every step and the final weights equal TRL, %s', (dtype) =>
    followTrace(join(fixtures, 'traces', name), join(fixtures, 'models/llama-tiny'), dtype),
  );

  test.skipIf(!existsSync(real))('every step and the final weights equal TRL on real pairs, float32', () =>
    followTrace(join(real, 'parity/traces', name), join(real, 'models/stories260K'), 'float32'),
  );
});
