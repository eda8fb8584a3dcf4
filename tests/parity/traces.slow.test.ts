// The runs on real pairs once more, in float64, where nothing but the formulas is left to differ.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { dataFolder } from '../support/repository.js';
import { followTrace } from '../support/traces.js';

const real = dataFolder ?? 'no-data';

test.skipIf(!existsSync(real)).each(['dpo-fixed', 'tr-dpo-soft', 'tr-dpo-hard', 'tr-ipo-soft', 'tr-kto-hard', 'sft'])(
  '%s equals TRL in float64',
  (name) => followTrace(join(real, 'parity/traces', name), join(real, 'models/stories260K'), 'float64'),
);
