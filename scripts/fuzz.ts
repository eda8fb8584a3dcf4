// Reads broken inputs with the readers, and says what none may do: crash, hang, grow, or fail without saying where.
//   npx tsx scripts/fuzz.ts --reader safetensors --inputs 10000 --seed 1
//   npx tsx scripts/fuzz.ts --inputs 100000 --seed 1            over all readers, by their shares
//   npx tsx scripts/fuzz.ts --reader safetensors --seed 1 --show 4711   writes that input to stdout
import { parseArgs } from 'node:util';
import { type FuzzResult, fuzz } from '../tests/fuzz/drive.js';
import { campaign, inputOf, readers } from '../tests/fuzz/readers.js';

const { values } = parseArgs({
  options: {
    reader: { type: 'string' },
    inputs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    first: { type: 'string', default: '0' },
    show: { type: 'string' },
  },
});
const [inputs, seed, first] = [Number(values.inputs), Number(values.seed), Number(values.first)];
if (values.reader !== undefined && !Object.hasOwn(readers, values.reader)) {
  console.error(`--reader ${values.reader} is none of ${Object.keys(readers).join(', ')}`);
  process.exit(2);
}

function report({
  reader,
  inputs: count,
  accepted,
  refused,
  findings,
  passing,
  slowestMs,
  slowest,
  peakBytes,
  seconds,
}: FuzzResult): void {
  const kept = Number.isNaN(accepted) ? '' : `, ${accepted} read and ${refused} refused`;
  console.error(
    `${reader}: ${count} inputs in ${seconds.toFixed(1)} s${kept}; slowest ${slowestMs.toFixed(0)} ms (${slowest}); ${(peakBytes / 2 ** 20).toFixed(0)} MiB; ${findings.length} findings`,
  );
  for (const { kind, index, what } of passing) console.error(`${reader} ${seed} ${index} not alone: ${kind}: ${what}`);
  for (const { kind, index, what } of findings.slice(0, 10)) console.log(`${reader} ${seed} ${index} ${kind}: ${what}`);
}

if (values.show !== undefined) process.stdout.write(inputOf(values.reader!, seed, Number(values.show)));
else {
  const parts = values.reader === undefined ? campaign(inputs) : [{ reader: values.reader, inputs }];
  let found = 0;
  for (const part of parts) {
    const result = await fuzz({ ...part, seed, first });
    report(result);
    found += result.findings.length;
  }
  process.exitCode = found > 0 ? 1 : 0;
}
