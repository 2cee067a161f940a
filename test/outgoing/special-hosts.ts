/** Each stands for this machine, its network, or what no other machine has any business with. */
export const specialHosts: readonly string[] = [
  '127.0.0.1', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '017700000001', '127.0.0.1.', '0', '0.0.0.0', '0.1.2.3',
  'localhost', 'localhost.', 'LOCALHOST', 'a.localhost', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.0.1', '169.254.169.254', '2852039166',
  '169.254.170.2', '100.64.0.1', '100.100.100.200', '192.0.0.192', '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.1', '224.0.0.1', '240.0.0.1',
  '255.255.255.255', '168.63.129.16', '[::]', '[::1]', '[0:0:0:0:0:0:0:1]', '[::127.0.0.1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::ffff:a9fe:a9fe]',
  '[::ffff:0:127.0.0.1]', '[64:ff9b::127.0.0.1]', '[64:ff9b::a9fe:a9fe]', '[64:ff9b:1::1]', '[2002:7f00:1::]', '[2002:a9fe:a9fe::]', '[2001::1]', '[2001:db8::1]',
  '[fc00::1]', '[fd00:ec2::254]', '[fe80::1]', '[fec0::1]', '[ff02::1]', '[100::1]', '①②⑦.0.0.1', '127。0。0。1'
]

/** What is no URL that anybody could be asked at. */
export const wrongUrls: readonly string[] = [
  'ftp://example.com/', 'file:///etc/passwd', 'gopher://127.0.0.1/', 'dict://127.0.0.1:11211/', 'data:text/plain,x', 'javascript:alert(1)', 'ws://example.com/',
  'http://a@example.com/', 'http://:b@example.com/', 'https://example.com@127.0.0.1/', 'http://', '//127.0.0.1/', 'http://127.0.0.1:99999/', 'http://127.0.0.1:80:80/', 'x'
]
