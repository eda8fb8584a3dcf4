// Follows a training run that TRL 1.13 made, step by step.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Tensor, tidy } from '@reanchor/torch';
import { expect } from 'vitest';
import { loadModel } from '#reanchor/models/load.js';
import { readTensors } from './tensors.js';
import { jsonLines, readTraceConfig, type TraceNumbers, type TraceOrder, traceNumbers } from './trace-run.js';

type Summary = Record<string, { norm: number; change_norm: number; sample_index: number[]; sample_value: number[] }>;
type StepLine = Record<string, number> & { micro: Record<string, number[]>[] };

/** Trains as the trace in a folder says, in this process, and compares every step and the final weights with it. */
export async function followTrace(trace: string, model: string, dtype: TraceOrder['dtype']): Promise<void> {
  const out = mkdtempSync(join(tmpdir(), 'trace-'));
  try {
    const order = { trace, model, dtype, out };
    await expectTrace(order, await traceNumbers(order));
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** The numbers of a run, and the final weights that it has left, are those of its trace. */
export async function expectTrace({ trace, dtype, out }: TraceOrder, found: TraceNumbers): Promise<void> {
  const { suggested_tolerance_fp32: suggested, rows_dropped } = readTraceConfig(trace);
  expect(found.rowsDropped).toBe(rows_dropped);
  const lines = jsonLines<StepLine>(trace, 'steps.fp64.jsonl');
  expect(found.steps.length).toBe(lines.length);
  for (const [i, line] of lines.entries()) {
    const { metrics, rows } = found.steps[i]!;
    for (const [name, value] of Object.entries(metrics)) {
      const theirs = line[name];
      if (value === undefined || theirs === undefined) continue;
      // TRL keeps its running means in fp32, also in the float64 run.
      const tolerance = dtype === 'float32' ? (suggested[name] ?? 1e-12) : 2e-7 * Math.max(1, Math.abs(theirs));
      expect(Math.abs(value - theirs), `step ${line.step}, ${name}`).toBeLessThanOrEqual(tolerance);
    }
    for (const [theirs, ours] of Object.entries(rows)) {
      expect(ours).toBeCloseToTensor(
        line.micro.flatMap((micro) => micro[theirs]!),
        dtype === 'float32' ? 1e-5 : 1e-10,
      );
    }
  }

  const final: Record<string, Summary> = JSON.parse(readFileSync(join(trace, 'final.json'), 'utf8'));
  for (const [name, summary] of Object.entries(final)) {
    using model = await loadModel(join(out, name), { dtype });
    expectSummary(model.parameters, summary, dtype === 'float32' ? 2e-5 : 2e-9);
    await expectWeights(model.parameters, join(trace, `${name}.safetensors`));
  }
}

function expectSummary(parameters: ReadonlyMap<string, Tensor>, summary: Summary, tolerance: number): void {
  for (const [name, { norm, sample_index, sample_value }] of Object.entries(summary)) {
    const values = parameters.get(name)!.toList();
    expect(Math.abs(Math.hypot(...values) - norm), name).toBeLessThan(tolerance * Math.sqrt(values.length));
    for (const [i, index] of sample_index.entries()) {
      expect(Math.abs(values[index]! - sample_value[i]!), name).toBeLessThanOrEqual(tolerance);
    }
  }
}

async function expectWeights(parameters: ReadonlyMap<string, Tensor>, file: string): Promise<void> {
  if (!existsSync(file)) return;
  const expected = await readTensors(file);
  tidy(() => {
    for (const [name, parameter] of parameters) {
      const difference = parameter.detach().to('float64').sub(expected.get(name)!).abs().max().item();
      expect(difference, name).toBeLessThanOrEqual(2e-5);
    }
  });
  for (const tensor of expected.values()) tensor.dispose();
}
