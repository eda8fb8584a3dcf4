export { lineChart, type Series } from './line-chart.js';
