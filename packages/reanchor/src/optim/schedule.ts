/** The course of the learning rate. */
export interface ScheduleOptions {
  type: 'linear' | 'constant';
  /** Steps of warm-up; a value below 1 is a share of all steps, rounded up. */
  warmupSteps: number;
}

/**
 * The factor on the learning rate in optimizer step `step` (0 for the first), of `totalSteps`:
 * step / warmup during the warm-up, so that the first step of a warm-up has rate 0; then 1 (constant) or
 * (total - step) / (total - warmup), never below 0 (linear). As in transformers' schedulers.
 */
export function learningRateFactor({ type, warmupSteps }: ScheduleOptions, step: number, totalSteps: number): number {
  const warmup = warmupSteps < 1 ? Math.ceil(warmupSteps * totalSteps) : warmupSteps;
  if (step < warmup) return step / Math.max(1, warmup);
  if (type === 'constant') return 1;
  return Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmup));
}

/** The learning rate of each optimizer step: `lr` times {@link learningRateFactor}. */
export function learningRates(options: ScheduleOptions, lr: number, totalSteps: number): (step: number) => number {
  return (step) => lr * learningRateFactor(options, step, totalSteps);
}
