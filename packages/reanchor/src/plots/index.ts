export { type ChartOptions, lineChart, type Point, type Series } from './line-chart.js';
