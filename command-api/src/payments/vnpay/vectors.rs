//! The vectors of VNPay's protocol: what was really sent, published, or emitted by a public library.

/// The secret of the sandbox terminal `CGXZLS0Z` that a public repository shows.
pub(super) const SANDBOX_SECRET: &str = "XNBCJFAKAZQSGTARRLGCHVZWCIOIGSHN";
/// The secret of the public library's tests.
pub(super) const TEST_SECRET: &str = "test_secret";
/// A create request, by a public unit test, under the sandbox secret.
pub(super) const CREATE: (&str, &str) = (
    "vnp_Amount=17500000&vnp_Command=pay&vnp_CreateDate=20261010153000&vnp_CurrCode=VND&vnp_IpAddr=203.113.131.1&vnp_Locale=vn&vnp_OrderInfo=Thanh+toan+ve+xe+SmartBus&vnp_OrderType=other&vnp_ReturnUrl=http%3A%2F%2Flocalhost%3A5173%2Fpayment-waiting&vnp_TmnCode=CGXZLS0Z&vnp_TxnRef=PM-8f3a2c1d&vnp_Version=2.1.0",
    "5643716fc858289a432fc6c74c9281c8b9d32a13600525fda24a5e7227bebc68abdbb03894747633c93a32e01b4d25962eede0f8d8fd123b2be4309992edcbdc",
);
/// What the real sandbox sent, under the sandbox secret.
pub(super) const SANDBOX_RETURN: (&str, &str) = (
    "vnp_Amount=50000000&vnp_BankCode=NCB&vnp_BankTranNo=VNP14532677&vnp_CardType=ATM&vnp_OrderInfo=Nap+tien+cho+tai+khoan+2&vnp_PayDate=20260811174008&vnp_ResponseCode=00&vnp_TmnCode=CGXZLS0Z&vnp_TransactionNo=14532677&vnp_TransactionStatus=00&vnp_TxnRef=VNPAY_1786469808_2",
    "1ad0a8924244dab0fef96e8af4b477648b790265b1eac7552c6e3ff9f925dfd6db991bf6812bf4caa3f2f45ff2d4e5e102d5cdce259b095a4f35faf5f41754d2",
);
/// A notification of success, under the test secret.
pub(super) const PAID: (&str, &str) = (
    "vnp_Amount=1000000&vnp_BankCode=NCB&vnp_BankTranNo=VNP14422574&vnp_CardType=ATM&vnp_OrderInfo=Thanh+toan+don+hang+2024-05-21T02%3A17%3A31.249Z&vnp_PayDate=20240521091806&vnp_ResponseCode=00&vnp_TmnCode=TEST_TMN_CODE&vnp_TransactionNo=14422574&vnp_TransactionStatus=00&vnp_TxnRef=1716257871703",
    "649982421beb422556a1374713c74e58e716ecbd05007c0c0e1f7effdfaf361dbf146889ca446139afe11b9954c4d5c486e99e3b86fcfab6957f29eb0be72895",
);
/// A notification of a payer who gave up, under the test secret.
pub(super) const CANCELLED: (&str, &str) = (
    "vnp_Amount=1000000&vnp_BankCode=VNPAY&vnp_CardType=QRCODE&vnp_OrderInfo=Thanh+toan+don+hang+42&vnp_PayDate=20240521091806&vnp_ResponseCode=24&vnp_TmnCode=TEST_TMN_CODE&vnp_TransactionNo=0&vnp_TransactionStatus=02&vnp_TxnRef=42",
    "7f2946d82c8db1cccb896e33bd30104e0ce841f03aa204d3aa02feb76d85da8108233577c4c095e3894556347aecdee36001007abf77fa254cd347cae397bbb8",
);
/// A question, under the test secret.
pub(super) const QUERY: (&str, &str) = (
    "REQUEST123456|2.1.0|querydr|TEST_TMN_CODE|TXN123456789|20231221103000|20231221103000|127.0.0.1|Test order query",
    "ac23f7e0db3fc8bc6dc83350725b891aa921ec7a83d1a370978d314457eeda176ff26a87bd4e13dc896c24890238b29fadf033080a07aa52abafa830cd2eb565",
);
/// A refund, under the test secret.
pub(super) const REFUND: (&str, &str) = (
    "REFUND123456|2.1.0|refund|TEST_TMN_CODE|02|TXN123456789|1000000|14422574|20231221103000|merchant_user|20231221103000|127.0.0.1|Test refund order",
    "1b0d3f82bc64cda12af250a284e72895b965ad745fef5a5b4f2b0ab50142e0089598fd9fd28e73d1c4ede96932996c3b08b4e9ab8a02fa5e88ecc555afba9a33",
);
/// An answer to a question, under the test secret.
pub(super) const QUERY_ANSWER: (&str, &str) = (
    "RESPONSE123456|querydr|00|Success|TEST_TMN_CODE|TXN123456789|1000000|NCB|20231221103000|14422574|01|00|Test order query||",
    "8c879c6277a89ab44ef8cfddb43786ba04265e2aa60408db13510cd481282db8398418bec2cd779636257e7d2857499e46d9cf42ec955c69c44a2a0b5518d932",
);
/// An answer to a refund, its amount as it was received, under the test secret.
pub(super) const REFUND_ANSWER: (&str, &str) = (
    "REFUND_RESPONSE123|refund|00|Success|TEST_TMN_CODE|TXN123456789|1000000|NCB|20231221103000|14422574|02|00|Test refund order",
    "40be6c028819734d2ffa54d6fb1518e5cf62e59901d368e02902fccffd596219c26cdcd014d0357ed65d32525ca316bef2d1ebdb6cb7ed9d5764acf12cba0c89",
);
