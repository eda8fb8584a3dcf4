export { accuracyOf } from './accuracy.js';
export {
  type BootstrapOptions,
  type BootstrapResult,
  clusterBootstrap,
  clustersOf,
  fewClusters,
  pairedBootstrap,
  type Random,
} from './bootstrap.js';
export {
  type Battle,
  type BradleyTerryFit,
  type BradleyTerryIntervals,
  bradleyTerry,
  bradleyTerryBootstrap,
} from './bradley-terry.js';
export { distinct, selfBleu } from './diversity.js';
export { groupBy } from './group-by.js';
export { holm } from './holm.js';
export { type Improvement, probabilityOfImprovement, type ScoredAnswer } from './improvement.js';
export { fitL1Logistic, type L1LogisticFit, type L1LogisticProblem, sigmoid, targetMoments } from './logistic.js';
export { binomialTest, clusterSignTest, normalQuantile, signTest, wilsonInterval } from './proportion.js';
export { type RatioEstimate, type RatioPart, ratioEstimate } from './ratio.js';
export { studentMean, welchDifference } from './student.js';
export {
  clusterError,
  type Interval,
  mean,
  percentileInterval,
  quantile,
  standardDeviation,
  standardError,
  sum,
} from './summary.js';
