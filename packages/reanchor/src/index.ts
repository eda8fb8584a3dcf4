/// <reference types="node" preserve="true" />
/** reanchor as a library: what the command's verbs call, and the pieces they are made of. */
export {
  describeSkips,
  loadPreferenceRows,
  type ModelPlace,
  type ModelPlaceOptions,
  modelPlace,
  type PreferenceRow,
  packGroups,
  packPairs,
  planSteps,
  type TokenizedPair,
  tokenizePairs,
} from './data/index.js';
export * from './driver/index.js';
export * from './errors.js';
export * from './estimate/index.js';
export { type AlpacaOptions, type AlpacaResult, evaluateAlpaca } from './eval/alpaca/evaluate.js';
export { type ArenaOptions, evaluateArena } from './eval/arena/evaluate.js';
export { type Diversity, diversity } from './eval/diversity/diversity.js';
export { frontChart } from './eval/front/chart.js';
export { type CompareOptions, type Course, compareFronts, type FrontComparison } from './eval/front/compare.js';
export { type Front, type FrontOptions, front } from './eval/front/front.js';
export { ChatClient, type ChatClientOptions } from './eval/judge/chat-client.js';
export { judgeBothOrders, type Pair, type PairJudge, type Verdict } from './eval/judge/judge.js';
export type { JudgeClient } from './eval/judge/judge-client.js';
export { alpacaJudge, arenaJudge, sideBySideJudge } from './eval/judge/judges.js';
export { LocalChat, type LocalChatOptions } from './eval/judge/local-chat.js';
export { type KlOptions as MeasureKlOptions, type KlResult, measureKl } from './eval/kl/measure.js';
export { chatRater, type Rater } from './eval/ratings/rater.js';
export { type RatingsOptions, type RatingsResult, rateAnswers } from './eval/ratings/ratings.js';
export { RewardJudge, type RewardJudgeOptions } from './eval/rewards/reward-judge.js';
export { type ScoreResult, score } from './eval/score.js';
export type { ScoreOptions } from './eval/score-inputs.js';
export { type WinRateOptions, type WinRateResult, winRate } from './eval/winrate/winrate.js';
export * from './generate/index.js';
export {
  type DownloadProgress,
  type HubOptions,
  type ModelFolderOptions,
  modelFolder,
  type PushOptions,
  type PushPlan,
  type PushResult,
  pushFolder,
  pushPlan,
  pushTarget,
} from './hub/index.js';
export { type KtoOptions, kto, ktoKl } from './losses/kto.js';
export { type PairLossName, type PairLossOptions, type PairMethod, pairLosses, pairMethod } from './losses/methods.js';
export type { PairBatch, Sides } from './losses/pair-batch.js';
export { buildModel, copyModel } from './models/architectures.js';
export { CausalLM, type ConfigJson, sequenceLogprobs, tokenLogprobs } from './models/causal-lm.js';
export { initModel } from './models/init.js';
export { loadModel } from './models/load.js';
export { type LogRatio, logRatios } from './models/log-ratios.js';
export { ModelLoader } from './models/model-loader.js';
export { saveModel } from './models/save.js';
export { scorePairs } from './models/score-pairs.js';
export { type SpanBatch, spanBatch } from './nn/spans.js';
export * from './optim/index.js';
export { type RowTokens, rowTokens, type ShownToken } from './planning/row-tokens.js';
export { type QuickstartOptions, type QuickstartResult, quickstart } from './quickstart/index.js';
export { checkRecipe, parseRecipe, type Recipe, type RecipeInput, readRecipe, recipeHere } from './recipe/index.js';
export { CachedReference } from './reference/cached-reference.js';
export { CopiedReference } from './reference/copied-reference.js';
export type { ReferencePolicy, ReferenceUpdate } from './reference/reference-policy.js';
export { type UpdateRule, updateShare } from './reference/update-rule.js';
export { type RunEvent, type RunInfo, readEvents, readRun } from './runs/index.js';
export { loadTokenizer, type Tokenizer } from './text/index.js';
export { runToy, type ToyOptions, type ToyRun, toyVariants } from './toy/index.js';
export type { Metrics } from './train/metrics.js';
export { exampleObjective } from './train/objectives/examples.js';
export type { Objective } from './train/objectives/objective.js';
export { type PairScores, pairMetrics, pairObjective } from './train/objectives/pairs.js';
export { textObjective } from './train/objectives/texts.js';
export { SelfCheckError } from './train/self-checks.js';
export { stepMetrics } from './train/step-metrics.js';
export { Trainer } from './train/trainer.js';
export type { StepResult, TrainerOptions } from './train/trainer-options.js';
export { AdapterWeights } from './weights/adapter-weights.js';
export { type FusedStep, FusedWeights } from './weights/fused-weights.js';
export { type LoadWeightsOptions, loadWeights } from './weights/load.js';
export { type AdapterRequest, loadAdapterWeights } from './weights/load-adapter.js';
export { type AnchorOptions, type ModelWeights, Weights, type WeightsOptions } from './weights/weights.js';
