/** The version of this package; the platform has its own. */
export const VERSION = "0.1.0";
