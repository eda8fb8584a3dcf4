import type { Command } from 'commander';
import type { Terminal } from '../terminal.js';
import { addAlpaca } from './eval-alpaca.js';
import { addArena } from './eval-arena.js';
import { addDiversity } from './eval-diversity.js';
import { addFront } from './eval-front.js';
import { addKl } from './eval-kl.js';
import { addLogps } from './eval-logps.js';
import { addRatings } from './eval-ratings.js';
import { addWinRate } from './eval-winrate.js';

/** The verbs that ask a judge, then those that ask none, in the order of the help. */
const measures = [addAlpaca, addArena, addWinRate, addRatings, addKl, addLogps, addDiversity, addFront];

/** Adds the group `reanchor eval`. */
export function addEval(program: Command, terminal: Terminal): void {
  const group = program.command('eval').description('measure what models write: win rates, ratings, benchmarks');
  for (const addMeasure of measures) addMeasure(group, terminal);
}
