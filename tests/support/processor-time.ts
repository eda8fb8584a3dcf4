/** Milliseconds of processor time that this process has taken: what work costs, however busy the machine is. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
