const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/** Words that, with any digits and signs behind them, make the passwords that are tried first. In lower case. */
export const commonStems = words(`
  password passw0rd p@ssword p@ssw0rd pa$$word pa55word passwort motdepasse contraseña contrasena senha parola wachtwoord
  qwerty qwertz azerty qwertyuiop qwertzuiop azertyuiop asdfgh asdfghjkl zxcvbn zxcvbnm qazwsx qazwsxedc
  letmein welcome willkommen bienvenue bienvenido administrator admin root superuser changeme secret topsecret
  iloveyou teamo jetaime ichliebedich sunshine princess princesa football baseball basketball superman batman spiderman
  pokemon starwars monkey dragon master shadow michael jennifer jessica charlie jordan ashley daniel computer internet
  whatever trustno freedom liverpool chelsea arsenal barcelona realmadrid manchester samsung google facebook instagram
  linkedin microsoft chocolate butterfly elephant hello hallo hola bonjour default guest test testing temp summer winter
  spring autumn sommer januar january february march april june july august september october november december monday
  tuesday wednesday thursday friday saturday sunday abc abcd abcdef abcdefg abcdefgh parley chatbot company america
  corvette mercedes porsche mustang harley yankees cowboys packers eagles steelers lakers
`)

/** More that are tried first, as they are. Of eight characters and more, in lower case. */
export const commonPasswords = words(`
  12345678 123456789 1234567890 12345678910 0123456789 0987654321 9876543210 987654321 87654321 11111111 111111111
  1111111111 00000000 000000000 0000000000 22222222 33333333 44444444 55555555 66666666 77777777 88888888 888888888
  99999999 999999999 12341234 12121212 11223344 1122334455 112233445566 11112222 12344321 123123123 123321123
  123412345 123454321 1234554321 123456654321 123456123456 1234512345 12345679 123456788 12345687 123456780 12345670
  13131313 10203040 1020304050 14141414 14725836 147258369 147852369 159357456 159753456 1597534682 31415926
  314159265 741852963 789456123 963852741 456789123 321654987 987654123 13243546 135792468 1357924680 24681012
  1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 q1w2e3r4 q1w2e3r4t5 q1w2e3r4t5y6 qwer1234 qwerasdf
  qwerqwer qwertyui qwert123 qwert12345 qweasdzxc qwe123qwe qweqweqwe 123qweasd 123qwe123 1234qwer 12345qwert 12qwaszx
  zaq12wsx zaq1xsw2 zaqxswcde zxcvbnm1 zxcv1234 asdf1234 asdfasdf asdf1234asdf asdfghjk asdfqwer asdasdasd asd123asd
  aaaaaaaa aaaa1111 a1b2c3d4 a1b2c3d4e5 a12345678 a123456789 aa123456 aa12345678 ab123456 abc12345 abc123456 abc123abc
  abcd1234 abcd12345 abcd123456 abcde12345 1a2b3c4d 1a2b3c4d5e 123abc123 123456abc 1234abcd 12345abc 123456ab 1234567a
  12345678a 123456789a 123456789q 123456qwerty q123456789 s12345678 z1x2c3v4 w1e2r3t4 pass1234 pass12345 pass123456 pass123word
  passpass passw0rd1 mypassword mypass123 thepassword newpassword yourpassword nopassword password1password secret123
  admin123 admin1234 admin12345 adminadmin admin@123 root1234 rootroot toor1234 user1234 useruser test1234 test12345 test123test testtest
  testpassword demo1234 demodemo guest123 letmein1 letmein123 letmeinnow changeme1 changeme123 welcome1 welcome123 welcome@123
  default1 login123 loginlogin access14 access123 trustno1 iloveyou1 iloveyou2 iloveyou123 iloveu123 loveyou1 loveme123
  lovelove babygirl babygirl1 babyboy1 princess1 sunshine1 football1 baseball1 superman1 batman123 spiderman1 pokemon123
  starwars1 monkey123 dragon123 master123 shadow123 michael1 jennifer1 jessica1 charlie1 jordan23 ashley123 daniel123
  computer1 internet1 whatever1 whatever! freedom1 liverpool1 chelsea1 arsenal1 barcelona1 samsung1 google123 chocolate1 butterfly1
  hello123 hello1234 hellohello helloworld hello_world lol123456 killer123 hunter12 maverick midnight midnight1 mountain
  nicholas patricia pineapple precious redskins remember rush2112 scorpion snowball softball spiderman startrek steelers
  stephanie strawberry success1 sweetheart swordfish terminator thunder1 tinkerbell tomorrow training victoria warcraft
  westside william1 wolverine wrestling xxxxxxxx yankees1 zeppelin alexander alexandra anthony1 asdfghjkl1 asshole1 bigdaddy
  blink182 brooklyn bulldog1 california cameron1 caroline catherine champion cheese123 christian christina christine
  christopher cocacola cowboys1 crystal1 diamond1 danielle dolphin1 einstein elizabeth everton1 explorer fireball firebird
  flamingo fuckyou1 fuckyou2 gangster garfield gateway1 giovanni godzilla goldfish green123 harley123 hardcore heather1 hercules
  homer123 infinity isabella jackson1 jasmine1 jonathan juventus kawasaki kimberly kristina lasvegas leonardo london12 madison1
  margaret marlboro matthew1 metallica minecraft mustang1 naruto123 newyork1 october1 operator panther1 passport pavilion
  personal playstation platinum politics porsche1 qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456 rainbow1 samantha
  sebastian security shopping sinclair slipknot snickers soccer12 spitfire starcraft superstar tiger123 trinity1 universe
  valentine veronica viktoria volleyball wildcats windows1 wonderful yellow123 yesterday zaq12345
`)
