// What is said in the same words wherever it is said.

export const SAFETY =
  'Cotside supplements the alarms of the bedside devices; it does not replace them. No bedside alarm may be switched off because of it. Where a monitor and Cotside disagree, the monitor is right.'
