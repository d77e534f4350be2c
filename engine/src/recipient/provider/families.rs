//! The built-in providers. Data only; each family names the page that documents its rule.

use super::{Family, Marks, Rule};
use std::borrow::Cow;

pub(super) const PLUS: Rule = Rule::ELSEWHERE;

pub(super) const fn family(
    name: &'static str,
    rule: Rule,
    source: &'static str,
    domains: &'static [&'static str],
) -> Family {
    Family { name: Cow::Borrowed(name), source: Cow::Borrowed(source), domains: Cow::Borrowed(domains), rule }
}

/// The built-in families.
///
/// A family with the default rule is listed too: this keeps its domains out of the disposable
/// catalog.
pub static FAMILIES: &[Family] = &[
    family(
        "Gmail",
        Rule { ignored: Marks::of("."), one_account: true, ..PLUS },
        "https://support.google.com/mail/answer/7436150 (dots), /answer/10313 (googlemail), /answer/22370 (+)",
        &["gmail.com", "googlemail.com"],
    ),
    family(
        "Microsoft",
        PLUS, // dots count, and each domain is a name space of its own
        "https://learn.microsoft.com/exchange/recipients-in-exchange-online/plus-addressing-in-exchange-online",
        MICROSOFT,
    ),
    family(
        "Apple",
        Rule { one_account: true, ..PLUS },
        "https://support.apple.com/102525 (one account at icloud.com, me.com, mac.com)",
        &["icloud.com", "me.com", "mac.com"],
    ),
    family(
        "Fastmail",
        // `_` is not allowed in a host name, so `ada-l.fastmail.com` also means `ada_l`:
        // https://www.fastmail.com/blog/two-address-resolving-additions/
        Rule { alike: Some((b'_', b'-')), users_below: true, ..PLUS },
        "https://www.fastmail.help/hc/en-us/articles/360060591053 (plus and subdomain addressing)",
        FASTMAIL,
    ),
    family(
        "Proton",
        Rule { ignored: Marks::of(".-_"), one_account: true, ..PLUS },
        "https://proton.me/support/addresses-and-aliases; ignored marks: github.com/ProtonMail/WebClients, canonicalizeInternalEmail",
        &["proton.me", "protonmail.com", "pm.me", "protonmail.ch"],
    ),
    family(
        "Yandex",
        // A login with dots is the same login with hyphens.
        Rule { alike: Some((b'.', b'-')), one_account: true, ..PLUS },
        "https://yandex.com/support/id/authorization/email.html (one login on all Yandex domains)",
        YANDEX,
    ),
    family(
        "Yahoo",
        // A name can't contain a hyphen of its own; `nickname-` belongs to the account but is not
        // its name.
        Rule { cut_after: Marks::of("-"), ..PLUS },
        "https://help.yahoo.com/kb/SLN28815.html (disposable addresses: nickname-keyword)",
        YAHOO,
    ),
    family(
        "AOL",
        // Runs on Yahoo's platform, with the same disposable addresses.
        Rule { cut_after: Marks::of("-"), ..PLUS },
        "https://help.aol.com/articles/use-disposable-addresses-in-aol-mail",
        &[
            "aol.com",
            "aim.com",
            "aol.co.uk",
            "aol.de",
            "aol.fr",
            "love.com",
            "ygm.com",
            "games.com",
            "wow.com",
        ],
    ),
    family(
        "Zoho",
        PLUS,
        "https://www.zoho.com/mail/help/email-alias.html and /mail/help/adminconsole/subaddressing.html",
        &[
            "zoho.com",
            "zohomail.com",
            "zoho.eu",
            "zohomail.eu",
            "zoho.in",
            "zohomail.in",
            "zohomail.com.au",
            "zoho.com.au",
            "zohomail.com.cn",
            "zohomail.jp",
            "zohomail.sa",
            "zohomail.ca",
        ],
    ),
    family(
        "mail.ru",
        PLUS,
        "https://help.mail.ru/mail/account/login/change (domains); + as RFC 5233",
        &["mail.ru", "inbox.ru", "list.ru", "bk.ru", "internet.ru", "xmail.ru", "mail.ua"],
    ),
    family(
        "GMX and WEB.DE",
        PLUS,
        "https://hilfe.gmx.net/ (e-mail addresses); + as RFC 5233",
        &[
            "gmx.com",
            "gmx.net",
            "gmx.de",
            "gmx.at",
            "gmx.ch",
            "gmx.us",
            "gmx.co.uk",
            "gmx.fr",
            "gmx.es",
            "gmx.info",
            "gmx.org",
            "gmx.eu",
            "web.de",
            "email.de",
            "mail.com",
        ],
    ),
    family(
        "mailbox.org",
        // Alternative domains that accept mail over TLS only.
        Rule { one_account: true, ..PLUS },
        "https://kb.mailbox.org/en/private/e-mail/ensuring-emails-are-sent-securely",
        &["mailbox.org", "secure.mailbox.org", "tls.mailbox.org"],
    ),
    family(
        "Runbox",
        Rule { one_account: true, ..PLUS },
        "https://help.runbox.com/how-do-internet-domains-work-for-email/ (synonymous domains)",
        &["runbox.com", "runbox.no", "runbox.eu"],
    ),
    family(
        "other mail hosts",
        PLUS,
        "RFC 5233 section 1; listed to be protected from the catalog, and from limits meant for one's own domains",
        OTHERS,
    ),
];

/// Hosts that give each customer a label of its own and deliver all mail below it. Unlike the
/// families above, they may be in a catalog: some lists call them disposable, which is the
/// operator's decision.
pub static CATCH_ALLS: &[Family] = &[family(
    "33mail",
    Rule { users_below: true, ..PLUS },
    "https://www.33mail.com/ (anything@ada.33mail.com, made up on the spot)",
    &["33mail.com"],
)];

#[rustfmt::skip]
const MICROSOFT: &[&str] = &[
    "outlook.com", "outlook.at", "outlook.be", "outlook.cl", "outlook.co.id", "outlook.co.il",
    "outlook.co.th", "outlook.com.ar", "outlook.com.au", "outlook.com.br", "outlook.com.gr",
    "outlook.com.pe", "outlook.com.tr", "outlook.com.vn", "outlook.cz", "outlook.de", "outlook.dk",
    "outlook.es", "outlook.fr", "outlook.hu", "outlook.ie", "outlook.in", "outlook.it",
    "outlook.jp", "outlook.kr", "outlook.lv", "outlook.my", "outlook.ph", "outlook.pt",
    "outlook.sa", "outlook.sg", "outlook.sk", "hotmail.com", "hotmail.at", "hotmail.be",
    "hotmail.ca", "hotmail.ch", "hotmail.cl", "hotmail.co.id", "hotmail.co.il", "hotmail.co.jp",
    "hotmail.co.kr", "hotmail.co.nz", "hotmail.co.th", "hotmail.co.uk", "hotmail.co.za",
    "hotmail.com.ar", "hotmail.com.au", "hotmail.com.br", "hotmail.com.hk", "hotmail.com.tr",
    "hotmail.com.tw", "hotmail.com.vn", "hotmail.cz", "hotmail.de", "hotmail.dk", "hotmail.es",
    "hotmail.fi", "hotmail.fr", "hotmail.gr", "hotmail.hu", "hotmail.it", "hotmail.lt",
    "hotmail.lv", "hotmail.my", "hotmail.nl", "hotmail.no", "hotmail.ph", "hotmail.rs",
    "hotmail.se", "hotmail.sg", "hotmail.sk", "live.com", "live.at", "live.be", "live.ca",
    "live.cl", "live.cn", "live.co.kr", "live.co.uk", "live.co.za", "live.com.ar", "live.com.au",
    "live.com.mx", "live.com.my", "live.com.ph", "live.com.pt", "live.com.sg", "live.de",
    "live.dk", "live.fi", "live.fr", "live.hk", "live.ie", "live.in", "live.it", "live.jp",
    "live.nl", "live.no", "live.ru", "live.se", "msn.com", "passport.com", "windowslive.com",
];

#[rustfmt::skip]
const FASTMAIL: &[&str] = &[ // https://www.fastmail.com/about/ourdomains/
    "fastmail.com", "fastmail.fm", "123mail.org", "150mail.com", "150ml.com", "16mail.com",
    "2-mail.com", "4email.net", "50mail.com", "airpost.net", "allmail.net", "bestmail.us",
    "cluemail.com", "elitemail.org", "emailcorner.net", "emailengine.net", "emailengine.org",
    "emailgroups.net", "emailplus.org", "emailuser.net", "eml.cc", "f-m.fm", "fast-email.com",
    "fast-mail.org", "fastem.com", "fastemail.us", "fastemailer.com", "fastest.cc", "fastimap.com",
    "fastmail.cn", "fastmail.co.uk", "fastmail.com.au", "fastmail.de", "fastmail.es",
    "fastmail.fr", "fastmail.im", "fastmail.in", "fastmail.jp", "fastmail.mx", "fastmail.net",
    "fastmail.nl", "fastmail.org", "fastmail.se", "fastmail.to", "fastmail.tw", "fastmail.uk",
    "fastmail.us", "fastmailbox.net", "fastmessaging.com", "fea.st", "fmail.co.uk",
    "fmailbox.com", "fmgirl.com", "fmguy.com", "ftml.net", "h-mail.us", "hailmail.net",
    "imap-mail.com", "imap.cc", "imapmail.org", "inoutbox.com", "internet-e-mail.com",
    "internet-mail.org", "internetemails.net", "internetmailing.net", "jetemail.net",
    "justemail.net", "letterboxes.org", "mail-central.com", "mail-page.com", "mailandftp.com",
    "mailas.com", "mailbolt.com", "mailc.net", "mailcan.com", "mailforce.net", "mailftp.com",
    "mailhaven.com", "mailingaddress.org", "mailite.com", "mailmight.com", "mailnew.com",
    "mailsent.net", "mailservice.ms", "mailup.net", "mailworks.org", "ml1.net", "mm.st",
    "myfastmail.com", "mymacmail.com", "nospammail.net", "ownmail.net", "petml.com",
    "postinbox.com", "postpro.net", "proinbox.com", "promessage.com", "realemail.net",
    "reallyfast.biz", "reallyfast.info", "rushpost.com", "sent.as", "sent.at", "sent.com",
    "speedpost.net", "speedymail.org", "ssl-mail.com", "swift-mail.com", "the-fastest.net",
    "the-quickest.com", "theinternetemail.com", "veryfast.biz", "veryspeedy.net", "warpmail.net",
    "xsmail.com", "yepmail.net", "your-mail.com",
];

#[rustfmt::skip]
const YANDEX: &[&str] = &[
    "yandex.ru", "ya.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua", "yandex.az",
    "yandex.co.il", "yandex.com.am", "yandex.com.ge", "yandex.com.tr", "yandex.ee", "yandex.fr",
    "yandex.kg", "yandex.lt", "yandex.lv", "yandex.md", "yandex.tj", "yandex.tm", "yandex.uz",
    "narod.ru",
];

#[rustfmt::skip]
const YAHOO: &[&str] = &[
    "yahoo.com", "ymail.com", "rocketmail.com", "myyahoo.com", "yahoo.at", "yahoo.be",
    "yahoo.bg", "yahoo.ca", "yahoo.cl", "yahoo.cn", "yahoo.co.id", "yahoo.co.il", "yahoo.co.in",
    "yahoo.co.jp", "yahoo.co.kr", "yahoo.co.nz", "yahoo.co.th", "yahoo.co.uk", "yahoo.co.za",
    "yahoo.com.ar", "yahoo.com.au", "yahoo.com.br", "yahoo.com.cn", "yahoo.com.co",
    "yahoo.com.hk", "yahoo.com.hr", "yahoo.com.mx", "yahoo.com.my", "yahoo.com.pe",
    "yahoo.com.ph", "yahoo.com.sg", "yahoo.com.tr", "yahoo.com.tw", "yahoo.com.ua",
    "yahoo.com.ve", "yahoo.com.vn", "yahoo.cz", "yahoo.de", "yahoo.dk", "yahoo.ee", "yahoo.es",
    "yahoo.fi", "yahoo.fr", "yahoo.gr", "yahoo.hr", "yahoo.hu", "yahoo.ie", "yahoo.in",
    "yahoo.it", "yahoo.lt", "yahoo.lv", "yahoo.nl", "yahoo.no", "yahoo.pl", "yahoo.pt",
    "yahoo.ro", "yahoo.se", "yahoo.sk", "yahoo.tw",
];

#[rustfmt::skip]
const OTHERS: &[&str] = &[
    "126.com", "139.com", "163.com", "188.com", "189.cn", "21cn.com", "abv.bg", "alice.it",
    "aliceadsl.fr", "aliyun.com", "arcor.de", "atlas.cz", "att.net", "au.com", "azet.sk", "bbox.fr",
    "bellsouth.net", "bezeqint.net", "biglobe.ne.jp", "bigmir.net", "bigpond.com", "bluewin.ch",
    "blueyonder.co.uk", "bol.com.br", "bredband.net", "btinternet.com", "casema.nl", "centrum.cz",
    "centurylink.net", "charter.net", "chello.nl", "citromail.hu", "club-internet.fr",
    "comcast.net", "comhem.se", "countermail.com", "cox.net", "daum.net", "dir.bg", "disroot.org",
    "docomo.ne.jp", "earthlink.net", "eastlink.ca", "eircom.net", "elisanet.fi", "email.cz",
    "embarqmail.com", "excite.com", "ezweb.ne.jp", "fastwebnet.it", "forthnet.gr", "foxmail.com",
    "free.fr", "freemail.hu", "freenet.de", "frontier.com", "frontiernet.net", "gazeta.pl",
    "globo.com", "hanmail.net", "hetnet.nl", "hey.com", "home.nl", "hot.ee", "hushmail.com",
    "i.softbank.jp", "i.ua", "ig.com.br", "iinet.net.au", "inbox.lv", "indiatimes.com",
    "interia.eu", "interia.pl", "inwind.it", "iol.it", "juno.com", "kabelmail.de", "kakao.com",
    "kolabnow.com", "kolumbus.fi", "kpnmail.nl", "laposte.net", "lenta.ru", "libero.it",
    "luukku.com", "lycos.com", "mail.bg", "mail.ee", "mailfence.com", "meta.ua", "mindspring.com",
    "movistar.es", "nate.com", "naver.com", "netvision.net.il", "netzero.net", "neuf.fr", "ngs.ru",
    "nifty.com", "ntlworld.com", "numericable.fr", "o2.pl", "onet.pl", "online.no", "op.pl",
    "optonline.net", "optusnet.com.au", "orange.fr", "otenet.gr", "planet.nl", "pobox.com",
    "poczta.fm", "post.cz", "posteo.de", "posteo.net", "prodigy.net.mx", "proximus.be", "q.com",
    "qq.com", "quicknet.nl", "rambler.ru", "rediff.com", "rediffmail.com", "riseup.net",
    "roadrunner.com", "rogers.com", "rr.com", "sapo.pt", "saunalahti.fi", "sbcglobal.net",
    "seznam.cz", "sfr.fr", "shaw.ca", "sina.cn", "sina.com", "sky.com", "skynet.be",
    "softbank.ne.jp", "sohu.com", "startmail.com", "suddenlink.net", "sympatico.ca", "t-online.de",
    "talktalk.net", "telefonica.net", "telenet.be", "telfort.nl", "telia.com", "telus.net",
    "terra.com.br", "tim.it", "tin.it", "tiscali.co.uk", "tiscali.it", "tom.com", "tpg.com.au",
    "tut.by", "tuta.com", "tuta.io", "tutamail.com", "tutanota.com", "tutanota.de", "ukr.net",
    "unitybox.de", "uol.com.br", "upcmail.nl", "usa.net", "verizon.net", "videotron.ca",
    "vip.qq.com", "virgilio.it", "virgin.net", "virginmedia.com", "vodafone.de", "volny.cz",
    "walla.co.il", "walla.com", "wanadoo.fr", "westnet.com.au", "windstream.net", "wp.pl",
    "xs4all.nl", "xtra.co.nz", "yeah.net", "ziggo.nl", "zonnet.nl", "zoznam.sk",
];
