# Prints your key of the company's gateway: Claude Code calls this script as its apiKeyHelper. With -Set it keeps a key.
#
# Promises: the key is in no argument and in no output but the one that Claude Code reads. On disk it is encrypted by Windows (DPAPI):
# only your account on this machine can decrypt it.
param(
    [Parameter(Mandatory = $true, Position = 0)][ValidatePattern('^[a-z0-9-]+$')][string]$Name,
    [switch]$Set,
    [switch]$Forget
)
$ErrorActionPreference = 'Stop'
$directory = Join-Path $env:LOCALAPPDATA $Name
$file = Join-Path $directory 'key'

if ($Forget) {
    if (Test-Path -LiteralPath $file) { Remove-Item -LiteralPath $file }
    exit 0
}
if ($Set) {
    $key = Read-Host -AsSecureString "Key of $Name"
    if ($key.Length -eq 0) {
        [Console]::Error.WriteLine('The key is empty, and nothing was changed.')
        exit 1
    }
    New-Item -ItemType Directory -Force -Path $directory | Out-Null
    ConvertFrom-SecureString $key | Set-Content -LiteralPath "$file.new" -Encoding ASCII
    Move-Item -Force -LiteralPath "$file.new" -Destination $file
    exit 0
}
if (-not (Test-Path -LiteralPath $file)) {
    [Console]::Error.WriteLine("There is no key of $Name yet: run this script with -Set.")
    exit 1
}
$key = Get-Content -LiteralPath $file -TotalCount 1 | ConvertTo-SecureString
[Console]::Out.WriteLine((New-Object System.Net.NetworkCredential '', $key).Password.Trim())
