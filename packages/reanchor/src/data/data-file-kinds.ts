/** Kinds of data files by the ends of their names, as Python's `datasets` 5.0 tells them, and which are read here. */

/** All kinds that `datasets` makes rows of; where another one is more frequent, files of these are not the rows. */
const kinds: Readonly<Record<string, readonly string[]>> = {
  JSON: ['json', 'jsonl', 'ndjson'],
  Parquet: ['parquet'],
  CSV: ['csv', 'tsv'],
  'geographic Parquet': ['geoparquet', 'gpq'],
  Arrow: ['arrow'],
  'plain text': ['txt'],
  CoNLL: ['conll', 'conllu'],
  WebDataset: ['tar'],
  XML: ['xml'],
  HDF5: ['hdf5', 'h5'],
  zip: ['zip'],
  images: 'apng bmp gif ico jfif jpe jpeg jpg png ppm psd tga tif tiff webp'.split(' '),
  sound: 'aiff au flac m4v mp3 mpg ogg opus raw wav webm wma'.split(' '),
  video: 'avi mkv mov mp4 mpeg'.split(' '),
  PDF: ['pdf'],
  'volumes and meshes': ['glb', 'nii', 'ply', 'stl'],
  logs: ['eval', 'lance', 'tsfile'],
};
const kindOfEnd = new Map(Object.entries(kinds).flatMap(([kind, ends]) => ends.map((end) => [end, kind] as const)));

/** What the names of files that are read end in, for messages. */
export const readableEnds = '.jsonl, .ndjson, .json, .csv, .tsv, each also .gz, and .parquet';

/** Whether a file of this name is read. */
export const isReadable = (path: string) => /\.((jsonl|ndjson|json|csv|tsv)(\.gz)?|parquet)$/i.test(path);

const lastOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);
/** Their case counts: `datasets` finds no rows in `train.JSONL`. */
const endsOf = (path: string) => lastOf(path).split('.').slice(1);

/** Whether some end of a file's name is that of data. */
export const isDataFile = (path: string) => endsOf(path).some((end) => kindOfEnd.has(end));

/** Of several ends that are equally frequent, the first of these; then the last in the alphabet. */
const favourites = ['parquet', 'lance', 'arrow', 'jsonl', 'json', 'csv'];
/** Files that describe those beside them, unless there are no others. */
const descriptions = ['metadata.csv', 'metadata.jsonl', 'metadata.parquet'];

/** The files of the kind to which most of them belong, with the name of the kind, and the others. */
export function filesOfOneKind(paths: readonly string[]): { kind: string; files: string[]; others: string[] } {
  const rows = paths.filter((path) => !descriptions.includes(lastOf(path)));
  const counts = new Map<string, number>();
  for (const end of (rows.length > 0 ? rows : paths).flatMap(endsOf)) {
    if (kindOfEnd.has(end)) counts.set(end, (counts.get(end) ?? 0) + 1);
  }
  const rank = (end: string) => (favourites.includes(end) ? favourites.indexOf(end) : favourites.length);
  const [[first] = ['']] = [...counts].sort(
    ([a, countA], [b, countB]) => countB - countA || rank(a) - rank(b) || (a < b ? 1 : -1),
  );
  const kind = kindOfEnd.get(first) ?? '';
  // An archive may hold files of any kind.
  const isOfKind = (path: string) => endsOf(path).some((end) => end === 'zip' || kindOfEnd.get(end) === kind);
  return { kind, files: paths.filter(isOfKind), others: paths.filter((path) => !isOfKind(path)) };
}

/** The first few of some paths, for messages. */
export const someOf = (paths: readonly string[]) =>
  paths.length === 0
    ? 'no files'
    : `${paths.slice(0, 3).join(', ')}${paths.length > 3 ? `, ${paths.length - 3} more` : ''}`;
