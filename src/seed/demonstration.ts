/** A chatbot of the demonstration, by its settings, and what people ask it. */
export interface Demonstrated {
  readonly config: Readonly<Record<string, unknown>> & { readonly name: string }
  readonly conversations: ReadonlyArray<{
    /** Tells it from the others of the chatbot. */
    readonly name: string
    readonly userId: string
    readonly says: readonly string[]
    /** What they thought of the last reply. */
    readonly rating?: { readonly rating: 'up' | 'down', readonly comment?: string }
  }>
}

/** What `npm run seed` puts into a store. The offline provider finds its replies in the instructions, too. */
export const demonstration: readonly Demonstrated[] = [
  {
    config: {
      name: 'Demonstration: bicycle shop',
      purpose: 'Answer questions of customers of a bicycle shop about orders, returns and repairs.',
      domain: ['bicycles', 'orders', 'repairs'],
      tone: { style: 'friendly', language: 'en' },
      instructions: 'Orders ship within two days. Delivery takes three to five days and is free from 50 euros on. ' +
        'Returns are free for 30 days, as long as the bicycle was not ridden. ' +
        'Repairs take a week; a service costs 60 euros and a flat tyre 15 euros. The workshop also repairs bicycles that were bought elsewhere. ' +
        'The shop is open from Tuesday to Saturday, from 10 to 18 o\'clock.'
    },
    conversations: [
      { name: 'order', userId: 'anna', says: ['When will my order ship?', 'And what does delivery cost?'], rating: { rating: 'up' } },
      {
        name: 'repair',
        userId: 'ben',
        says: ['Do you repair bicycles that I bought elsewhere?', 'What does a flat tyre cost?'],
        rating: { rating: 'down', comment: 'It should say for when I can make an appointment.' }
      }
    ]
  },
  {
    config: {
      name: 'Demonstration: Stadtbibliothek',
      purpose: 'Fragen von Besuchern einer Stadtbibliothek beantworten.',
      domain: ['Bücher', 'Ausleihe'],
      tone: { style: 'formal', language: 'de' },
      instructions: 'Die Bibliothek ist dienstags bis samstags von 9 bis 19 Uhr geöffnet. ' +
        'Der Ausweis kostet 20 Euro im Jahr; für Kinder und Jugendliche ist er kostenlos. ' +
        'Bücher werden für vier Wochen ausgeliehen und können zweimal verlängert werden.'
    },
    conversations: [
      { name: 'Ausweis', userId: 'carla', says: ['Was kostet ein Ausweis?', 'Wie lange kann ich Bücher ausleihen?'] }
    ]
  }
]
