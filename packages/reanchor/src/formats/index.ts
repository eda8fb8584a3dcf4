/// <reference types="node" preserve="true" />
export {
  isTemporary,
  makeFolder,
  requireNewFolder,
  requireWritable,
  syncFolder,
  temporaryName,
  type WriteContent,
  writeError,
  writeFileAtomic,
  writeFolderAtomic,
  writeFully,
} from './atomic.js';
export { bytesAtMost } from './bounded.js';
export { canFetch } from './can-fetch.js';
export { type CsvOptions, type CsvRow, csvText, readCsv } from './csv.js';
export { entriesInOrder, exactJson, exactJsonOf, Float, isRecord, plainFields } from './exact-json.js';
export { isBelow } from './is-below.js';
export { Journal, type JournalHead } from './journal.js';
export { readJson, readText } from './json.js';
export { type JsonLine, readJsonl, writeJsonl } from './jsonl.js';
export { mapTexts } from './map-texts.js';
export { isPickle, pickleRefusal } from './pickle.js';
export { type RawRecord, readRecords, requireRecords } from './records.js';
export { createReadStream, fileSize, open, openSync, readFile, readFileSync } from './regular-file.js';
export {
  openSafetensors,
  openWeights,
  parseSafetensorsHeader,
  readStored,
  type SafetensorsDType,
  type SafetensorsFile,
  type StoredTensor,
  shardNames,
  type TensorToWrite,
  type WeightTensor,
  writeSafetensors,
} from './safetensors.js';
export { sha256 } from './sha256.js';
export { writeWeights } from './shards.js';
export { EventFileWriter, eventFileName, type ScalarEvent } from './tensorboard.js';
