import { concealing } from '../recipe/index.js';
import type { StudyEstimate } from '../sweep/index.js';
import { numberFlag } from './flags.js';
import { bytesText, countOf, number } from './progress.js';
import { duration, type Terminal, table } from './terminal.js';

/** The flags of `estimate` that a study has. */
export interface StudyEstimateFlags {
  out?: string | undefined;
  jobs?: string | undefined;
  json?: boolean | undefined;
}

/** `reanchor estimate STUDY`: the jobs of a study, how many are done, the hours and the disk that it takes. */
export async function estimateStudyVerb(
  file: string,
  { out, jobs: count = '1', json }: StudyEstimateFlags,
  terminal: Terminal,
): Promise<void> {
  const jobs = numberFlag('--jobs', count, { integer: true, min: 1 });
  const { estimateStudy, readStudy } = await import('../sweep/index.js');
  const study = await readStudy(file);
  terminal.conceal(concealing(study));
  const estimate = await estimateStudy(study, { out, jobs });
  if (json) {
    terminal.result(JSON.stringify({ ...estimate, jobs }, null, 2));
    return;
  }
  const done = ({ of, done }: StudyEstimate['runs']) =>
    `${number(of)}${out === undefined ? '' : `, ${number(done)} done`}`;
  const rows = [
    [
      'study',
      `${countOf(estimate.arms, 'arm')}, ${countOf(estimate.settings, 'setting')}, ${countOf(estimate.seeds, 'seed')}`,
    ],
    ['stages', done(estimate.stages)],
    ['runs', done(estimate.runs)],
    ['FLOPs', flopsText(estimate)],
    ...timeRows(estimate, jobs),
    ['disk', `${bytesText(estimate.bytes.stages)} of stages, ${bytesText(estimate.bytes.runs)} of runs`],
    [
      '',
      `at most ${bytesText(estimate.bytes.passing)} more while ${jobs === 1 ? 'a process is' : `${jobs} processes are`} at work`,
    ],
  ];
  for (const line of table(rows, 'left')) terminal.result(line);
  for (const one of estimate.unknown) terminal.note(`not known, and in none of the numbers: ${one}`);
  for (const one of estimate.notCounted) terminal.note(`not counted: ${one}`);
}

function flopsText({ flops: { stages, runs, left } }: StudyEstimate): string {
  const all = `${stages.toExponential(2)} of stages, ${runs.toExponential(2)} of runs`;
  return left === stages + runs ? all : `${all}; ${left.toExponential(2)} are left`;
}

function timeRows({ flops, hours, pace }: StudyEstimate, jobs: number): string[][] {
  const processes = jobs === 1 ? '1 process' : `${number(jobs)} processes`;
  const atTeraflop = `${duration(3600 * hours.atTeraflop)} by ${processes} at 1 TFLOP/s each`;
  if (flops.left === 0) return [['time', 'none: nothing is left of what is known']];
  if (pace === undefined || hours.atPace === undefined) {
    return [
      ['time', `${atTeraflop}; what this machine does is not known:`],
      ['', 'name by --out the folder of a sweep in which a run is done'],
    ];
  }
  const { rate, jobs: count, of } = pace;
  const what = `${number(count)} ${of === 'runs' ? 'run' : 'trained stage'}${count === 1 ? ' that is' : 's that are'} done`;
  return [
    ['time', `${duration(3600 * hours.atPace)} of what is left, by ${processes}`],
    ['', `at the pace of the ${what}: ${(rate / 1e12).toPrecision(2)} TFLOP/s a process`],
  ];
}
