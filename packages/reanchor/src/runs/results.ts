/** Files of results that the dashboard shows: win rates between models, and the toy experiment. */
import * as z from 'zod';

const share = z.number().min(0).max(1);

const pairSchema = z.object({
  /** Names among `models`. */
  a: z.string(),
  b: z.string(),
  /** Comparisons that `a` won, that neither won, that `b` won. */
  wins: z.int().min(0),
  ties: z.int().min(0),
  losses: z.int().min(0),
  /** How often `a` is better, a tie counting one half, and an interval for it. */
  winRate: share,
  low: share,
  high: share,
});

const rowSchema = z.object({
  prompt: z.string(),
  /** Text by model. */
  completions: z.record(z.string(), z.string()),
  verdicts: z.array(
    z.object({
      a: z.string(),
      b: z.string(),
      winner: z.enum(['a', 'b', 'tie']),
      /** What the judge said. */
      reason: z.string().optional(),
    }),
  ),
});

/** What `reanchor eval winrate --json` writes. Keys besides these are allowed and are not shown. */
export const evaluationResultSchema = z.object({
  kind: z.literal('winrate'),
  time: z.iso.datetime(),
  /** Who compared: the name of a judge, with its version. */
  judge: z.string(),
  /** The share of intervals that hold the true value. */
  confidence: share.default(0.95),
  models: z.array(z.string()).min(2),
  pairs: z.array(pairSchema),
  /** Texts side by side, as many as are worth reading. */
  rows: z.array(rowSchema).default([]),
});

export type EvaluationResult = z.output<typeof evaluationResultSchema>;

const curve = z.object({ mean: z.array(z.number()), low: z.array(z.number()), high: z.array(z.number()) });
const curveNames = [
  'chosen',
  'rejected',
  'ood',
  'chosenLogprob',
  'rejectedLogprob',
  'klSft',
  'klReference',
  'margin',
  'weight',
  'loss',
  'curvature',
] as const;

/** What `reanchor toy --json` writes. */
export const toyResultSchema = z.object({
  method: z.string(),
  beta: z.number(),
  seeds: z.int(),
  steps: z.int(),
  summaries: z.array(
    z.object({
      variant: z.string(),
      chosen: z.number(),
      chosenError: z.number(),
      rejected: z.number(),
      ood: z.number(),
      worstChosen: z.number(),
      peakOod: z.number(),
      klSft: z.number(),
    }),
  ),
  curves: z.array(z.object({ variant: z.string(), steps: z.array(z.number()) }).extend(curvesOf())),
});

export type ToyResult = z.output<typeof toyResultSchema>;

function curvesOf() {
  return Object.fromEntries(curveNames.map((name) => [name, curve])) as Record<
    (typeof curveNames)[number],
    typeof curve
  >;
}
