import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BucketSeries } from './bucket-series.js';

/** A series of a value at each step; a line of ten bytes each. */
function seriesOf(values: readonly (readonly [step: number, value: number])[], first = 0): BucketSeries {
  const series = new BucketSeries(['loss'], first);
  for (const [i, [step, value]] of values.entries()) {
    const bucket = series.bucket(step, 10 * i, 10 * i + 10);
    if (bucket >= 0) series.add(0, bucket, value);
  }
  return series;
}

test('a short series keeps every value', () => {
  const { steps, width, metrics } = seriesOf([
    [1, 5],
    [2, Number.NaN],
    [5, -3],
  ]).points();
  expect({ steps, width }).toEqual({ steps: [1, 2, 5], width: 1 });
  expect(metrics.loss).toEqual({ mean: [5, null, -3], notFinite: 1, first: { step: 1, value: 5 }, last: -3 });
});

test('of a long one the points are least, largest and mean value of their steps, and nothing is lost', () => {
  const strides = fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: -1000, max: 1000 })), {
    minLength: 1,
    maxLength: 300,
  });
  fc.assert(
    fc.property(strides, fc.constantFrom(7, 50, 1000), (pieces, most) => {
      let step = 0;
      const values = pieces.map(([stride, value]): [number, number] => {
        step += stride;
        return [step, value];
      });
      const series = seriesOf(values);
      const points = series.points({ width: series.pointWidth(most) });
      const { mean, min = mean, max = mean } = points.metrics.loss!;
      const buckets = new Map<number, number[]>();
      for (const [at, value] of values) {
        const bucket = Math.floor(at / points.width);
        buckets.set(bucket, [...(buckets.get(bucket) ?? []), value]);
      }
      expect(points.steps.length).toBeLessThanOrEqual(most + 1);
      expect(points.steps.map((at) => Math.floor(at / points.width))).toEqual([...buckets.keys()]);
      expect(points.steps.at(-1)).toBe(step);
      const all = [...buckets.values()];
      expect(min).toEqual(all.map((list) => Math.min(...list)));
      expect(max).toEqual(all.map((list) => Math.max(...list)));
      for (const [i, list] of all.entries()) {
        expect(mean[i]).toBeCloseTo(list.reduce((sum, value) => sum + value, 0) / list.length, 3);
      }
    }),
  );
});

test('a part is where its bytes are, and its points are those of the whole', () => {
  const values = Array.from({ length: 20_000 }, (_, i): [number, number] => [i + 1, i]);
  const series = seriesOf(values);
  expect(series.width).toBe(8);
  const [begin, end] = series.bytesOf(1000, 2000)!;
  expect(begin).toBeLessThanOrEqual(9990);
  expect(end).toBeGreaterThanOrEqual(20_000);
  expect(end - begin).toBeLessThan(10_000 + 2 * 80 + 1);
  expect(series.bytesOf(30_000, 40_000)).toBeUndefined();
  const whole = series.points();
  const part = series.points({ from: 10_000 });
  const at = whole.steps.findIndex((step) => step >= 10_000);
  expect(part.steps).toEqual(whole.steps.slice(at));
  expect(part.metrics.loss!.max).toEqual(whole.metrics.loss!.max!.slice(at));
});

test('steps before the first are not taken', () => {
  expect(
    seriesOf(
      [
        [4, 1],
        [5, 2],
        [6, 3],
      ],
      5,
    ).points().steps,
  ).toEqual([5, 6]);
});

test('steps as far apart as numbers go, and thousands of metrics, cost no more memory than others', () => {
  const series = seriesOf([
    [1, 1],
    [Number.MAX_SAFE_INTEGER, 2],
  ]);
  expect(series.points().steps).toEqual([1, Number.MAX_SAFE_INTEGER]);
  const names = Array.from({ length: 2000 }, (_, i) => `m${i}`);
  const many = new BucketSeries(names);
  const bucket = many.bucket(1, 0, 1);
  for (const [i] of names.entries()) many.add(i, bucket, i);
  expect(Object.keys(many.points().metrics)).toHaveLength(500);
});
