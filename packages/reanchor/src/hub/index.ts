export { adapterFolder, isAdapterFolder } from './adapter-folder.js';
export { datasetFiles, type FileListing } from './dataset-files.js';
export { type ModelFolderOptions, modelFolder, modelOrAdapterFolder } from './model-folder.js';
export { parseRepositoryName, type RepositoryName, repositoryText } from './names.js';
export { type PushOptions, type PushPlan, type PushResult, pushFolder, pushPlan, pushTarget } from './push.js';
export type { DownloadProgress, HubOptions } from './repository.js';
export { hubSettings } from './settings.js';
