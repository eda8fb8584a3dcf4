export { requireWritable, type WriteContent, writeFileAtomic, writeFolderAtomic } from './atomic.js';
export { type JsonLine, readJsonl, writeJsonl } from './jsonl.js';
export { type RawRecord, readRecords } from './records.js';
export {
  type CheckpointTensor,
  openCheckpoint,
  openSafetensors,
  parseSafetensorsHeader,
  type SafetensorsDType,
  type SafetensorsFile,
  type StoredTensor,
  type TensorToWrite,
  writeSafetensors,
} from './safetensors.js';
export { EventFileWriter, eventFileName, type ScalarEvent } from './tensorboard.js';
