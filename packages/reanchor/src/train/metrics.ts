/** Metrics by name; TRL's name where TRL has one. */
export type Metrics = Record<string, number>;

/** What a measurement of the policy found: numbers, and texts that it wrote. */
export interface Probed {
  metrics: Metrics;
  samples?: { prompt: string; completion: string }[] | undefined;
}
