//! The vectors of ZaloPay's protocol: what was published, really sent, or emitted by its SDK. All keys are published.

/// Of the app 553.
pub(super) const KEY1_OF_553: &str = "9phuAOYhan4urywHTh0ndEXiV3pKHr5Q";
/// Of the app 2553.
pub(super) const KEY1_OF_2553: &str = "PcY4iZIKFCIdgZvA6ueMcMHHUbRLYjPL";
/// Of the app 2553.
pub(super) const KEY2_OF_2553: &str = "kLtgPl8HHhfvMuDHPwKfgfsY4Ydm9eIz";
/// Of the app 2554.
pub(super) const KEY2_OF_2554: &str = "trMrHtvjo6myautxDUiAcYsVtaeQ8nhf";
/// The documented creation, under key1 of 553.
pub(super) const CREATE_OF_553: (&str, &str) = (
    "553|200904_000234|user123|10000|1599202366026|{}|[]",
    "7e95836a9feace32458f23416feea423172ef0a098f27a668a1e10788b5a6838",
);
/// The SDK's creation, under key1 of 2553.
pub(super) const CREATE: (&str, &str) = (
    r#"2553|200904_000234|user123|10000|1599202366026|{"redirecturl":"https://shop.test/r"}|[]"#,
    "020cc9d42096b7e94065d78360ac1a16f59d923e599672adbc0f9aec9da4bf6d",
);
/// The SDK's question: the order's name, and the signature under key1 of 2553.
pub(super) const QUERY: (&str, &str) =
    ("200904_2553_1598435687208", "1cd28b0ed7ea05b58395b59b74f040ae1bc11b60eed71199bde75d5ed1e439e7");
/// The SDK's refund, under key1 of 2553.
pub(super) const REFUND: (&str, &str) = (
    "2553|200904000000389|10000|ZaloPay Refund Demo|1599189500000",
    "5b5f0c4580fd894b78c2a13919db43f71e624a1781757aa0b6dac8e8e287bf01",
);
/// The same with a fee, which we never ask for.
pub(super) const REFUND_WITH_FEE: (&str, &str) = (
    "2553|200904000000389|10000|1000|ZaloPay Refund Demo|1599189500000",
    "d46b82eb909437fbbedf699580be45ee890e873536fa7bd5d1ac2d36b1ceb339",
);
/// The SDK's question after a refund, under key1 of 2553.
pub(super) const QUERY_REFUND: (&str, &str) =
    ("2553|200904_2553_0000000001|1599189600000", "d6e46dda20b82543f246f40c8d8659d5c525bc2dd2a9213eaa17843e4983486e");
/// The documented callback: its `data`, and the signature under key2 of 2553.
pub(super) const CALLBACK: (&str, &str) = (
    r#"{"app_id":2553,"app_trans_id":"200904_2553_1598435687208","app_time":1599189392817,"app_user":"demo","amount":10000,"embed_data":"{\"merchantinfo\":\"embeddata123\",\"promotioninfo\":\"\"}","item":"[{\"itemid\":\"knb\",\"itemname\":\"kim nguyen bao\",\"itemprice\":198400,\"itemquantity\":1}]","zp_trans_id":200904000000389,"server_time":1599189413498,"channel":38,"merchant_user_id":"7ZMSl3nEg5sOUJzOLSoUFT8xKNQVaLOLXHB--8Eytqc","user_fee_amount":0,"discount_amount":0}"#,
    "d8d33baf449b31d7f9b94fa50d7c942c08cd4d83f28fa185557da21acb104f67",
);
/// What the real sandbox signed when it sent browsers back: with the key2 of the app that comes first.
pub(super) const REDIRECTS: [(&str, &str); 3] = [
    ("2554|241129_5719004757|38||71000|0|1", "ccaba75bed7ec9fcd84994dd6b637f806b75a3820383ba23e9032eae02bd099b"),
    ("2553|240621_11|0||13980000|0|-49", "63f4b8f943d4f8aebcc60da77295a8887d2ccb56e549662c61bd444c8dff3293"),
    ("2553|080724_152303|39|SBIS|119000|0|1", "1af1a1ded63af3ef9ed1a26f2aa5ba034e2fde65642b237ce081b4aae508d044"),
];
