// Words that say nothing of a subject: articles, pronouns, prepositions, conjunctions, auxiliaries, question words, and
// the courtesies of a chat. In lower case, as the language writes them. Without them a question about anything would
// find a sentence with "the" in it.
const WORDS: Readonly<Record<string, string>> = {
  ar: 'في من إلى على عن مع هو هي هم نحن أنا أنت ما ماذا متى أين كيف كم لماذا هل أي هذا هذه ذلك تلك التي الذي الذين ' +
    'و أو ثم لا لم لن ليس كان كانت يكون تكون قد كل بعض أن إن لكن إذا حتى بين بعد قبل عند لك لي له لها فضلك شكرا ' +
    'مرحبا',
  cs: 'a aby ale ani ano asi až bez bude být byl byla byli bylo by co či do ho i já jak jaká jaké jaký jako je jeho ' +
    'její jejich jen ještě jsem jsi jsme jsou jste k kam kde kdo kdy když ke kolik která které který máte může ' +
    'můžete na nad nebo ne než o od on ona oni po pod pro proč prosím před při s se si ta tak také tam ten to tu ' +
    'ty u už v vám vás ve za ze že z děkuji dobrý den ahoj',
  da: 'af alle at da de dem den der det dig din du efter eller en er et fik for fra få får ham han har havde hej ' +
    'hende her hun hvad hvem hvilke hvilken hvilket hvis hvor hvordan hvorfor hvornår i ikke ind jeg kan kunne ' +
    'man med mig min må ned nogen når og også om op os over på sig skal som så tak til ud under var ved vi vil ' +
    'været være',
  de: 'aber alle allem allen aller alles als am an auch auf aus bei beim bin bis bist bitte da damit dann danke das ' +
    'dass dein deine dem den denn der des dich die dies diese diesem diesen dieser dieses dir doch dort du durch ' +
    'ein eine einem einen einer eines er es etwas euch euer eure für gibt guten hab habe haben habt hallo hat ' +
    'hatte hatten hier ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jeder jedes kann kannst ' +
    'können könnt könnte man mein meine mich mir mit muss nach nein nicht noch nun nur ob oder ohne sehr sein ' +
    'seine seinem seinen seiner seit sich sie sind so soll sollte tag über um und uns unser unsere unter viel ' +
    'viele vom von vor war waren warum was welche welchem welchen welcher welches wem wen wenn wer werde werden ' +
    'wessen wie wieviel wieso will wir wird wo wohin woher wofür worden wurde wurden zu zum zur zwischen',
  el: 'και ή αλλά να θα δεν μη μην ο η το οι τα του της των τον την τους τις στο στη στην στον στους στις στα με σε ' +
    'από για προς κατά μετά πριν είναι ήταν έχει έχουν έχω είχε που πού πώς πως πότε ποιος ποια ποιο ποιοι πόσο ' +
    'πόσα πόσες τι γιατί αν ότι αυτό αυτή αυτός εγώ εσύ εμείς εσείς μου σου μας σας ένα ένας μια γεια παρακαλώ ' +
    'ευχαριστώ',
  en: 'a about above after again against all also am among an and another any are aren as at be because been before ' +
    'being below between both but by can cannot could couldn did didn do does doesn doing don done down during ' +
    'each else for from further had hadn has hasn have haven having he hello her here hers herself hey hi him ' +
    'himself his how however i if in into is isn it its itself just know let ll m many may me might more most ' +
    'much must my myself no nor not now of off on once one only or other our ours out over own please re s same ' +
    'shall she should shouldn since so some such t tell than thank thanks that the their theirs them themselves ' +
    'then there these they this those through to too under until up upon us ve very want was wasn way we were ' +
    'weren what when where whether which while who whom whose why will with without won would wouldn you your ' +
    'yours yourself',
  es: 'a al algo algún alguna algunas algunos ante antes aquí así aunque buenas buenos cada como cómo con cual cuál ' +
    'cuáles cuando cuándo cuanta cuánta cuántas cuanto cuánto cuántos de del desde dime donde dónde durante e el ' +
    'él ella ellas ellos en entre era eran es esa esas ese eso esos está están esta estas este esto estos favor ' +
    'fue fueron gracias ha han hasta hay haya hola la las le les lo los más me mi mis mucho muy ni no nos ' +
    'nosotros o os otra otro para pero por porque puede puedes puedo qué que quien quién quiénes se ser si sí sin ' +
    'sobre son su sus también te tiene tienen todo todos tu tus tú un una unas uno unos usted ustedes y ya yo',
  fi: 'ei eivät en et että hän he hei ja jos joka jossa jotka kai kanssa kiitos ku kuin kuinka kuka kun me mikä ' +
    'mikäli miksi millainen milloin minkä minne minä missä mistä mitkä mitä moi mukaan mutta myös ne niin noin ' +
    'nyt oli olivat olla olen olet on onko ollut ovat paljonko se sekä sen siitä sinä sitä tai te tämä tässä tätä ' +
    'vaan vai voi voiko voin',
  fr: 'à ai as au aucun aussi autre aux avec avez avoir avons bonjour bonsoir c ça car ce cela ces cet cette ceux ' +
    'chez comme comment combien d dans de des depuis dit donc dont du elle elles en entre es est et étaient était ' +
    'été être eu eux fait il ils j je l la là le les leur leurs lui m ma mais me même merci mes moi mon n ne ni ' +
    'nos notre nous on ont ou où par pas peut peux plaît plus pour pourquoi pouvez puis qu quand que quel quelle ' +
    'quelles quels qui quoi s sa salut sans se sera ses si sont son sous suis sur svp t ta te tes toi ton tous ' +
    'tout toute très tu un une vers vos votre vous y',
  he: 'של את על עם אל מן כי לא אם או גם רק כל זה זאת זו אלה הוא היא הם הן אני אתה אנחנו אתם מה מי איפה מתי איך כמה ' +
    'למה האם איזה איזו יש אין היה היתה היו שלום תודה בבקשה לך לי לו לה',
  hi: 'का के की को से में पर ने और या कि है हैं था थे थी हो होता होती होते यह वह ये वे इस उस क्या कौन कब कहाँ कहां ' +
    'कैसे कितना कितने कितनी क्यों किस किसने जो तो भी ही नहीं एक लिए साथ मैं हम आप तुम मुझे कृपया नमस्ते धन्यवाद',
  hu: 'a az és vagy de hogy ha is nem ne egy ez ezt ezek azok azt ki kik mi mit mikor hol hova honnan hogyan miért ' +
    'mennyi hány melyik milyen van vannak volt voltak lesz lehet én te ő ti ők meg már még csak mint el fel le be ' +
    'köszönöm kérem szia helló',
  id: 'yang dan di ke dari untuk pada dengan adalah ini itu atau juga tidak bukan apa siapa kapan dimana mana ' +
    'bagaimana berapa mengapa kenapa apakah saya kami kita anda kamu dia mereka akan telah sudah dapat bisa ada ' +
    'oleh sebagai dalam karena halo tolong terima kasih',
  it: 'a ad ai agli al alla alle allo anche avere c che chi ci ciao come con così cosa cui d da dagli dai dal dalla ' +
    'dalle dallo de degli dei del dell della delle dello di dove e è ed era erano essere favore fu gli grazie ha ' +
    'hai hanno ho i il in io l la le lei li lo loro lui ma mi mia mio molto ne negli nei nel nella nelle nello ' +
    'noi non nostro o ogni per perché più può puoi quale quali quando quanta quante quanti quanto quella quello ' +
    'quest questa queste questi questo qui sarà se si sia sono su sua sue sugli sui sul sulla sulle suo suoi ti ' +
    'tra tu tua tuo tutti tutto un una uno vi voi',
  ja: 'の に は を が で と も た て だ です ます する した して される れる こと もの これ それ あれ この その あの ここ そこ どこ だれ 誰 なに 何 なん いつ いくつ いくら どう どの ' +
    'どんな どれ なぜ から まで より へ や か ね よ な ない ある いる い さ し れ という について ください こんにちは ありがとう',
  ko: '이 그 저 것 수 등 및 또는 그리고 하지만 무엇 무엇인가요 뭐 누가 누구 언제 어디 어디서 어디에 어떻게 얼마나 몇 왜 어떤 있나요 인가요 입니다 있습니다 합니다 하나요 안녕하세요 감사합니다 ' +
    '나는 저는 우리 당신',
  nb: 'alle at av bli ble da de deg dem den der det din du eller en er et etter for fra få han har hadde hei henne ' +
    'her hos hun hva hvem hvilke hvilken hvilket hvis hvor hvordan hvorfor i ikke inn jeg kan kunne man med meg ' +
    'min må når noen og også om opp oss over på seg skal som så takk til under ut var ved vi vil være vært',
  nl: 'aan al alle als altijd ben bij dag dan dank dat de der deze die dit doe door dus een en er geen had hallo ' +
    'heb hebben heeft hem het hier hij hoe hoeveel hun ik in is je jij jou jouw jullie kan kun kunnen kunt maar ' +
    'me meer met mij mijn moet naar niet nog nu of om ons onze ook op over te tegen toch toen tot u uit uw van ' +
    'veel voor waar waarom wanneer want waren was wat we wel welk welke werd wie wij wil word worden wordt zal ze ' +
    'zich zij zijn zo zou',
  pl: 'a aby ale albo bez był była było były by być ci co czy dla do dzień dobry gdy gdzie go i ich ile im ja jak ' +
    'jaka jaki jakie jako jego jej jest jestem już kiedy kim kto która które który ma mają mi mnie można może my ' +
    'na nad nie o od on ona one oni oraz po pod proszę przed przez przy się są skąd ta tak także tam te tego tej ' +
    'ten to ty tylko u w was we wy z za ze że cześć dziękuję dlaczego',
  pt: 'a à ao aos aquela aquele as às até bom com como da das de dela dele delas deles depois do dos e é ela elas ' +
    'ele eles em entre era eram essa esse esta está estão este eu favor foi foram há isso isto já lhe mais mas me ' +
    'mesmo meu minha muito na não nas nem no nos nós nossa nosso num numa o obrigada obrigado oi olá onde os ou ' +
    'para pela pelas pelo pelos por porque pode podem posso qual quais quando quanta quantas quanto quantos que ' +
    'quem se sem ser seu seus só são sua suas também te tem têm tu tua um uma umas uns você vocês',
  ro: 'a acest această aceasta acesta al ale am ar are ași au bună ca care ce cel cea cei cele câți câte cât către ' +
    'cine cu cum când că da dacă de deci din dar după e ea ei el ele este eu fi fie fost în îi își la le lui mai ' +
    'mă mulțumesc ne ni nici noi nu o pe pentru prin rog sale salut sau se si sunt să și te toate tot tu un unde ' +
    'unei unui va vă voi vor',
  ru: 'а без более бы был была были было быть в вам вас весь во вот все всё вы где да для до его ее её если есть ' +
    'еще ещё же за здравствуйте и из или им их к как какая какие какой какое когда кого кому который которая ' +
    'которые кто куда ли меня мне может можно мой моя мы на над не него нет ни них но о об однако он она они оно ' +
    'от откуда по под пожалуйста почему при привет с сколько со спасибо так также такой там тебя то того тоже ' +
    'только том ты у уже чего чем что чтобы чья эта эти это этот я',
  sv: 'alla att av blev bli blir de dem den denna det detta dig din du då där efter eller en er ett finns från för ' +
    'ha hade han har hej henne hon hos hur här i icke inte jag kan kunde man med mig min många må ni nu när någon ' +
    'något och också om oss på sig sin ska skulle som så tack till under upp ut var varför vad vara varit vem ' +
    'vems vid vilka vilken vilket vi vill är åt över',
  th: 'ที่ และ ใน ของ เป็น คือ ได้ มี ให้ ไม่ จะ กับ จาก โดย หรือ ก็ นี้ นั้น อะไร ใคร เมื่อไร เมื่อไหร่ ที่ไหน ไหน ' +
    'อย่างไร ยังไง เท่าไร เท่าไหร่ กี่ ทำไม ครับ ค่ะ คะ ฉัน ผม คุณ เรา สวัสดี ขอบคุณ',
  tr: 'acaba ama ancak bana ben bir biri biz bu bunu çok da daha de değil diye en gibi hangi hangisi hem her için ' +
    'ile ise kaç kadar ki kim kimin lütfen merhaba mi mı mu mü nasıl ne neden nerede nereye nereden niçin o olan ' +
    'olarak oldu olduğu onun sen siz şu teşekkürler var ve veya ya yok zaman',
  uk: 'а або але без би був була були було бути в вам вас ви від все всі вона вони воно де для до добрий день дякую ' +
    'є ж з за звідки й його її із і інші їм їх коли куди кого кому ким лише ма мене мені ми може можна на над наш ' +
    'не немає ні о один он по під при про привіт скільки так також там те ти то тобто того тут у хто це цей ця ці ' +
    'чи чий чого чому що щоб як яка яке які який якщо я',
  vi: 'và của là có các những cho trong với được không này đó một từ đến ở về khi như thì mà ai gì nào đâu sao bao ' +
    'nhiêu thế tại vì tôi bạn chúng ta xin chào cảm ơn hãy',
  zh: '的 地 得 了 是 在 有 和 与 與 或 也 都 而 就 不 没 沒 我 你 您 他 她 它 我们 我們 你们 你們 他们 他們 这 這 那 这个 這個 那个 那個 哪 哪里 哪裡 哪儿 哪个 哪個 什么 什麼 谁 ' +
    '誰 何时 怎么 怎麼 怎样 怎麼樣 多少 几 幾 为什么 為什麼 吗 嗎 呢 吧 啊 从 從 到 对 對 把 被 于 於 之 其 请 請 请问 請問 你好 您好 谢谢 謝謝 时候 時候'
}

const NONE: ReadonlySet<string> = new Set()
const SETS = new Map(Object.entries(WORDS).map(([language, words]) => [language, new Set(words.split(' '))]))

/** The stop words of a language (ISO 639-1 code, lower case); empty where none are known. */
export function stopWordsOf (language: string): ReadonlySet<string> {
  return SETS.get(language) ?? NONE
}
