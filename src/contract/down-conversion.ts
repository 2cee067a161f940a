export const to30 = (document: object) => document
