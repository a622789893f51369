<?php
// picqer/exact-php-client, from its repository; Guzzle by Composer or from the system.
declare(strict_types=1);

use Picqer\Financials\Exact\Connection;
use Picqer\Financials\Exact\GLAccount;
use Picqer\Financials\Exact\Me;

error_reporting(E_ALL & ~E_DEPRECATED);
ini_set('display_errors', 'stderr');
require getenv('AUTOLOAD');
spl_autoload_register(static function (string $class): void {
    $file = getenv('SOURCE') . '/src/' . str_replace('\\', '/', $class) . '.php';
    if (str_starts_with($class, 'Picqer\\') && is_file($file)) {
        require $file;
    }
});

function say(array $fields): void
{
    fwrite(STDOUT, json_encode($fields, JSON_UNESCAPED_SLASHES) . "\n");
}

function ask(array $fields): string
{
    say($fields);

    return trim((string) fgets(STDIN));
}

$connection = new Connection();
$connection->setBaseUrl(getenv('BASE_URL'));
$connection->setRedirectUrl(getenv('REDIRECT_URI'));
$connection->setExactClientId(getenv('CLIENT_ID'));
$connection->setExactClientSecret(getenv('CLIENT_SECRET'));

$steps = [
    'login' => static function () use ($connection): string {
        parse_str((string) parse_url(ask(['consent' => $connection->getAuthUrl()]), PHP_URL_QUERY), $query);
        $connection->setAuthorizationCode($query['code']);
        $connection->connect();

        $me = (new Me($connection))->find();

        return 'division ' . $me->CurrentDivision;
    },
    'refresh' => static function () use ($connection): string {
        $before = $connection->getAccessToken();
        ask(['later' => 580]);
        $connection->setTokenExpires(time());
        (new GLAccount($connection))->filter('', '', 'ID', ['$top' => 1]);
        if ($connection->getAccessToken() === $before) {
            throw new RuntimeException('the access token is still the old one');
        }

        return 'a new access token';
    },
    'list' => static function () use ($connection): string {
        return count((new GLAccount($connection))->filter('', '', 'ID,Code', ['$top' => 60])) . ' general ledger accounts';
    },
    'page' => static function () use ($connection): string {
        $keys = array_map(static fn ($row) => $row->ID, (new GLAccount($connection))->filter('', '', 'ID,Code'));
        if (count($keys) <= 60 || count(array_unique($keys)) !== count($keys)) {
            throw new RuntimeException(count($keys) . ' rows');
        }

        return count($keys) . ' of them on ' . (int) ceil(count($keys) / 60) . ' pages';
    },
    'key' => static function () use ($connection): string {
        $row = (new GLAccount($connection))->filter('', '', 'ID,Code', ['$top' => 3])[2];
        $found = (new GLAccount($connection))->find($row->ID);
        if ($found->Code !== $row->Code) {
            throw new RuntimeException("$found->Code instead of $row->Code");
        }

        return 'account ' . trim($row->Code);
    },
];

foreach ($steps as $step => $work) {
    try {
        say(['step' => $step, 'came' => $work()]);
    } catch (Throwable $error) {
        say(['step' => $step, 'failed' => substr(get_class($error) . ': ' . $error->getMessage(), 0, 300)]);
    }
}
