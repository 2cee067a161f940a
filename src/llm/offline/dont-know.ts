const SENTENCES: Readonly<Record<string, string>> = {
  ar: 'عذرًا، لا أعرف الإجابة عن هذا السؤال.',
  bg: 'Съжалявам, не знам отговора на този въпрос.',
  ca: 'Ho sento, no sé la resposta a aquesta pregunta.',
  cs: 'Omlouvám se, odpověď na tuto otázku neznám.',
  da: 'Beklager, det ved jeg ikke.',
  de: 'Das weiß ich leider nicht.',
  el: 'Λυπάμαι, δεν γνωρίζω την απάντηση σε αυτή την ερώτηση.',
  en: "I'm sorry, I don't know the answer to that.",
  es: 'Lo siento, no sé la respuesta a esa pregunta.',
  et: 'Vabandust, ma ei tea sellele küsimusele vastust.',
  fi: 'Valitettavasti en tiedä vastausta tähän kysymykseen.',
  fr: 'Désolé, je ne connais pas la réponse à cette question.',
  he: 'מצטערים, התשובה לשאלה הזאת אינה ידועה לנו.',
  hi: 'क्षमा करें, मुझे इस प्रश्न का उत्तर नहीं पता।',
  hr: 'Žao mi je, ne znam odgovor na to pitanje.',
  hu: 'Sajnálom, erre a kérdésre nem tudom a választ.',
  id: 'Maaf, saya tidak tahu jawaban atas pertanyaan itu.',
  it: 'Mi dispiace, non conosco la risposta a questa domanda.',
  ja: '申し訳ありませんが、そのご質問の答えはわかりません。',
  ko: '죄송하지만 그 질문에 대한 답은 알지 못합니다.',
  nb: 'Beklager, det vet jeg ikke.',
  nl: 'Het spijt me, dat weet ik niet.',
  pl: 'Przykro mi, nie znam odpowiedzi na to pytanie.',
  pt: 'Lamento, mas não sei a resposta a essa pergunta.',
  ro: 'Îmi pare rău, nu știu răspunsul la această întrebare.',
  ru: 'К сожалению, я не знаю ответа на этот вопрос.',
  sk: 'Ľutujem, odpoveď na túto otázku nepoznám.',
  sv: 'Jag vet tyvärr inte svaret på den frågan.',
  th: 'ขออภัย ไม่ทราบคำตอบของคำถามนี้',
  tr: 'Üzgünüm, bu sorunun cevabını bilmiyorum.',
  uk: 'На жаль, я не знаю відповіді на це запитання.',
  vi: 'Xin lỗi, tôi không biết câu trả lời cho câu hỏi đó.',
  zh: '抱歉，我不知道这个问题的答案。',
  'zh-Hant': '抱歉，我不知道這個問題的答案。'
}

const FALLBACK = "I'm sorry, I don't know the answer to that."

/** The bot's "I don't know" in the language of a locale: by script, then by language, then English. */
export function dontKnow (locale: Intl.Locale): string {
  const { language, script } = locale.maximize()
  return SENTENCES[`${language}-${script ?? ''}`] ?? SENTENCES[language] ?? FALLBACK
}
