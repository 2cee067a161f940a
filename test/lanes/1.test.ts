await import('../routes/all.test.ts')
await import('../portability/all.test.ts')
await import('../assist/all.test.ts')
