import { expect, test } from 'vitest';
import { UserError } from '../errors.js';
import { RunawayDetector, RunawayWatch } from './runaway.js';

type Course = (step: number) => { gradNorm: number; chosen: number; rejected: number };

/** Step metrics of a course that is a line between these steps, with noise that a median does not see. */
function metricsOf(course: Course, step: number) {
  const { gradNorm, chosen, rejected } = course(step);
  const noise = step % 5 === 0 ? 4 : 1;
  return { grad_norm: gradNorm * noise, 'logps/chosen': chosen * noise, 'logps/rejected': rejected * noise };
}

/** What is found, by step. */
function findings(course: Course, steps = 150, detector = new RunawayDetector()) {
  return Array.from({ length: steps }, (_, i) => i + 1).flatMap((step) => {
    const found = detector.observe(metricsOf(course, step));
    return found === undefined ? [] : [[step, found] as const];
  });
}

/** A norm that grows and log-probabilities that fall, from step 31 on. */
const runaway: Course = (step) => {
  const t = Math.max(0, step - 30);
  return { gradNorm: 13 + 0.3 * t, chosen: -100 - 0.2 * t, rejected: -104 - 0.8 * t };
};

test('a growing norm with falling log-probabilities is found once, at the end of a window', () => {
  const found = findings(runaway);
  expect(found.map(([step]) => step)).toEqual([80]);
  expect(found[0]![1]).toMatch(
    /^the gradient norm has grown from 13.0 to \d\d\.\d while .* chosen answers fell from -100 to -1\d\d nats, .* rejected ones from -104 to -1\d\d /,
  );
});

test.each<[string, Course]>([
  ['a norm that stays', (step) => ({ ...runaway(step), gradNorm: 13 })],
  ['a norm that does not double', (step) => ({ ...runaway(step), gradNorm: 13 + 0.06 * step })],
  ['chosen answers that fall by less than 5 %', (step) => ({ ...runaway(step), chosen: -100 - 0.03 * step })],
  ['chosen answers that become likelier', (step) => ({ ...runaway(step), chosen: -100 + step / 10 })],
  [
    'chosen answers that have fallen and rise again',
    (step) => ({ ...runaway(step), chosen: step < 11 ? -100 : -150 + step / 10 }),
  ],
  [
    'rejected answers that have fallen and rise again',
    (step) => ({ ...runaway(step), rejected: step < 11 ? -104 : -200 + step / 10 }),
  ],
  ['rejected answers that fall by less than a quarter', (step) => ({ ...runaway(step), rejected: -104 - 0.15 * step })],
])('%s: nothing is found', (_, course) => {
  expect(findings(course)).toEqual([]);
});

test('steps that were left out, and objectives without chosen answers, measure nothing', () => {
  const detector = new RunawayDetector();
  const before = detector.state();
  for (let i = 0; i < 100; i++) {
    expect(detector.observe({ skipped_steps: 1 })).toBeUndefined();
    expect(detector.observe({ grad_norm: 10 ** i, loss: 1 })).toBeUndefined();
  }
  expect(detector.state()).toEqual(before);
});

test('it goes on from its state, wherever that was taken', () => {
  const whole = findings(runaway);
  for (const cut of [1, 10, 57, 79, 80]) {
    const first = new RunawayDetector();
    const before = findings(runaway, cut, first);
    const resumed = new RunawayDetector(JSON.parse(JSON.stringify(first.state())));
    const after = Array.from({ length: 150 - cut }, (_, i) => cut + 1 + i).flatMap((step) => {
      const found = resumed.observe(metricsOf(runaway, step));
      return found === undefined ? [] : [[step, found] as const];
    });
    expect([...before, ...after]).toEqual(whole);
  }
});

test('warn says it once; stop writes a checkpoint and ends the run, and so does a resume from there', async () => {
  const heard: string[] = [];
  const saved: number[] = [];
  const watchOf = (mode: 'warn' | 'stop', detector: RunawayDetector) =>
    new RunawayWatch(detector, {
      mode,
      warn: (message) => heard.push(message),
      save: async (step) => void saved.push(step),
      resumeHint: 'run it again',
    });
  async function stepsOf(mode: 'warn' | 'stop', detector: RunawayDetector) {
    const watch = watchOf(mode, detector);
    await watch.onBegin(0);
    for (let step = 1; step <= 150; step++) {
      const metrics = metricsOf(runaway, step);
      watch.onStep({ step, metrics, epoch: 0, tokens: 0, milliseconds: 0, update: undefined, drift: undefined });
      await watch.onPause(step);
    }
  }
  await stepsOf('warn', new RunawayDetector());
  expect(heard).toEqual([expect.stringMatching(/^the policy runs away in step 80: .*maxDivergence/)]);
  expect(saved).toEqual([]);

  const detector = new RunawayDetector();
  const stopped = stepsOf('stop', detector);
  await expect(stopped).rejects.toThrow(/step 80.*stopped with a checkpoint.*run it again and onRunaway: warn/);
  await expect(stopped).rejects.toBeInstanceOf(UserError);
  expect(saved).toEqual([80]);
  expect(heard.length).toBe(1);
  await expect(watchOf('stop', detector).onBegin(80)).rejects.toThrow(/run away by step 80.*run it again/);
  await watchOf('warn', detector).onBegin(80);
});
