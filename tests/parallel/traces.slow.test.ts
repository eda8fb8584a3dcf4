// Two processes follow the runs that TRL 1.13 made on real rows as closely as one has to.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { dataFolder } from '../support/repository.js';
import { expectTrace } from '../support/traces.js';
import { ranksOfTests } from '../support/training-ranks.js';

const real = dataFolder ?? 'no-data';

describe.skipIf(!existsSync(real))('2 processes equal TRL', () => {
  const { ranks, folder } = ranksOfTests(2, 'parallel-traces');

  const names = ['dpo-fixed', 'tr-dpo-soft', 'tr-dpo-hard', 'tr-ipo-soft', 'tr-kto-hard', 'sft'];
  const cases = names.flatMap((name) =>
    (['none', 'parameters'] as const).flatMap((shard) =>
      (['float32', 'float64'] as const).map((dtype) => ({ name, shard, dtype })),
    ),
  );
  test.each(cases)('$name, divided by $shard, $dtype', async ({ name, shard, dtype }) => {
    const order = {
      ...{ trace: join(real, 'parity/traces', name), model: join(real, 'models/stories260K') },
      ...{ dtype, shard, out: join(folder, `${name} ${shard} ${dtype}`) },
    };
    for (const numbers of await ranks.follow(2, order)) await expectTrace(order, numbers);
  });
});
